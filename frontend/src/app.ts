// The one script of all pages.

import { BankPicture } from "./bank-picture";
import { startDrawer } from "./drawer";
import { Live } from "./live";
import { Passkey } from "./passkey";
import { Mails } from "./mails";
import { Workbench } from "./workbench";

customElements.define("cubby-bank", BankPicture);
customElements.define("cubby-live", Live);
customElements.define("cubby-passkey", Passkey);
customElements.define("cubby-mails", Mails);
customElements.define("cubby-workbench", Workbench);
startDrawer();
