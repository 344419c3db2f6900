"""Mail by SMTP against a real mail server on a real socket: what it takes, refuses, and what is no safe line."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from cubbyhole.integrations.mail import smtp
from cubbyhole.integrations.mail.smtp import MailSettingsError, SmtpTransport, make_transport, parse_sender, parse_smtp
from cubbyhole.server.notices.mail import Mail, MailNotSent
from cubbyhole.ui.mail import Drawn
from tests.mail.post_office import PostOffice, certificate, post_office

SENDER = "Cubbyhole <lockers@kestrel.example>"


def mail(to: str = "ada@kestrel.example", name: str = "Ada Lovelace", subject: str = "Fach A-07 für Sie") -> Mail:
    drawn = Drawn(subject, "Grüße\n.\n..\nFrom here\n" + "x" * 1200 + "\n", "<p>Grüße</p>")
    return Mail(to, name, drawn, "abc.1", 1_750_000_000_000)


def to(office: PostOffice, options: str = "?starttls=off", scheme: str = "smtp", who: str = "") -> SmtpTransport:
    made = make_transport(f"{scheme}://{who}localhost:{office.port}{options}", SENDER)
    assert made is not None
    return made


def test_a_mail_arrives_whole_in_both_forms(office: PostOffice) -> None:
    to(office).send(mail())
    (kept,) = office.arrived
    assert kept.to == ("ada@kestrel.example",) and kept.sender == "lockers@kestrel.example"
    assert kept.content["subject"] == "Fach A-07 für Sie"
    assert kept.content["to"] == "Ada Lovelace <ada@kestrel.example>"
    assert kept.content["from"] == SENDER
    assert kept.content["message-id"] == "<abc.1.cubbyhole@kestrel.example>"
    assert kept.content["auto-submitted"] == "auto-generated"
    assert kept.content.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in kept.content.iter_parts()] == ["text/plain", "text/html"]
    assert kept.part("plain") == mail().drawn.text and "<p>Grüße</p>" in kept.part("html")


def test_the_same_mail_has_the_same_id_at_each_try(office: PostOffice) -> None:
    for _ in range(2):
        to(office).send(mail())
    first, second = office.arrived
    assert first.content["message-id"] == second.content["message-id"]


@pytest.mark.parametrize(
    ("where", "answer", "final"),
    [
        ("rcpt", "550 5.1.1 No such mailbox", True),
        ("rcpt", "450 4.2.0 Greylisted", False),
        ("data", "554 5.7.1 Looks like spam", True),
        ("data", "452 4.3.1 Disk full", False),
    ],
)
def test_five_hundreds_are_final_and_four_hundreds_are_not(
    office: PostOffice, where: str, answer: str, final: bool
) -> None:
    getattr(office, where).append(answer)
    with pytest.raises(MailNotSent, match=answer[4:]) as refused:
        to(office).send(mail())
    assert refused.value.final is final and office.arrived == []
    to(office).send(mail())
    assert len(office.arrived) == 1


def test_a_closed_door_is_not_final() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    transport = SmtpTransport(parse_smtp(f"smtp://127.0.0.1:{port}?starttls=off"), parse_sender(SENDER))
    with pytest.raises(MailNotSent, match="cannot be used") as refused:
        transport.send(mail())
    assert not refused.value.final


def test_without_tls_nothing_is_sent_unless_that_was_said(office: PostOffice) -> None:
    with pytest.raises(MailNotSent, match="offers no TLS, so nothing was sent") as refused:
        to(office, "").send(mail())
    assert not refused.value.final and office.tried == 0


@pytest.mark.parametrize("implicit", [False, True])
def test_tls_with_a_certificate_that_is_trusted_and_a_sign_in(tmp_path: Path, implicit: bool) -> None:
    context, trusted = certificate(tmp_path)
    with post_office(tls=context, implicit=implicit, login="us@er:s3cret/") as office:
        how = ("smtps", f"?ca={trusted}") if implicit else ("smtp", f"?starttls=required&ca={trusted}")
        to(office, how[1], how[0], "us%40er:s3cret%2F@").send(mail())
        assert len(office.arrived) == 1
        with pytest.raises(MailNotSent, match="does not accept the user or password") as refused:
            to(office, how[1], how[0], "us%40er:wrong@").send(mail())
        assert not refused.value.final and "wrong" not in str(refused.value)


@pytest.mark.parametrize("implicit", [False, True])
def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, implicit: bool) -> None:
    context, _ = certificate(tmp_path)
    with post_office(tls=context, implicit=implicit) as office:
        with pytest.raises(MailNotSent, match="certificate is not to be trusted") as refused:
            to(office, "", "smtps" if implicit else "smtp").send(mail())
        assert not refused.value.final and office.tried == 0


def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path, "other.example")
    with post_office(tls=context) as office, pytest.raises(MailNotSent, match="certificate is not to be trusted"):
        to(office, f"?ca={trusted}").send(mail())


def test_a_server_that_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "STEP_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        since = time.monotonic()
        with pytest.raises(MailNotSent):
            SmtpTransport(parse_smtp(f"smtp://127.0.0.1:{port}?starttls=off"), parse_sender(SENDER)).send(mail())
        assert time.monotonic() - since < 5


def test_a_server_that_dribbles_is_left_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "ALL_S", 0.5)
    stop = threading.Event()

    def dribble(listening: socket.socket) -> None:
        line, _ = listening.accept()
        line.sendall(b"220 slow\r\n")
        try:
            while not stop.wait(0.05):
                line.sendall(b"2")
        except OSError:
            pass
        line.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=dribble, args=[listening])
        thread.start()
        since = time.monotonic()
        address = f"smtp://127.0.0.1:{listening.getsockname()[1]}?starttls=off"
        with pytest.raises(MailNotSent) as refused:
            SmtpTransport(parse_smtp(address), parse_sender(SENDER)).send(mail())
        assert time.monotonic() - since < 5 and not refused.value.final
        stop.set()
        thread.join(5)


def test_what_is_under_way_is_broken_off_when_the_server_stops(office: PostOffice) -> None:
    office.hold.clear()
    transport, ended = to(office), threading.Event()

    def send() -> None:
        with pytest.raises(MailNotSent):
            transport.send(mail())
        ended.set()

    thread = threading.Thread(target=send)
    thread.start()
    while office.tried == 0:
        time.sleep(0.01)
    time.sleep(0.1)
    transport.break_off()
    assert ended.wait(5)
    thread.join()


@pytest.mark.parametrize(
    ("name", "subject"),
    [("Eve\r\nBcc: all@kestrel.example", "Hi"), ("Ada", "Hi\r\nBcc: all@kestrel.example")],
)
def test_a_name_or_subject_cannot_smuggle_in_a_header(office: PostOffice, name: str, subject: str) -> None:
    with pytest.raises(MailNotSent) as refused:
        to(office).send(mail(name=name, subject=subject))
    assert refused.value.final and office.tried == 0


@pytest.mark.parametrize(
    "address", ["nobody", "jürgen@kestrel.example", "a b@kestrel.example", "ada@kestrel.example, eve@evil.example", ""]
)
def test_what_is_no_address_is_final(office: PostOffice, address: str) -> None:
    with pytest.raises(MailNotSent) as refused:
        to(office).send(mail(to=address))
    assert refused.value.final and office.arrived == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mail.example.com", "smtp://user:password@"),
        ("http://mail.example.com", "smtp://user:password@"),
        ("smtp://", "smtp://user:password@"),
        ("smtp://host:port", "cannot be read"),
        ("smtp://host?starttls=maybe", "`required` or `off`"),
        ("smtps://host?starttls=off", "`required` or `off`"),
        ("smtp://host?tls=1", "not tls"),
        ("smtp://u:hush@host?starttls=off", "does not go over a line without TLS"),
        ("smtp://host?ca=/no/such/file", "no file /no/such/file"),
    ],
)
def test_settings_that_cannot_be_used_are_explained(text: str, why: str) -> None:
    with pytest.raises(MailSettingsError, match=why) as wrong:
        parse_smtp(text)
    assert "hush" not in str(wrong.value)


def test_settings_have_the_usual_ports_and_do_not_show_the_password() -> None:
    assert parse_smtp("smtp://mail.example.com").port == 587
    secure = parse_smtp("smtps://ada:hush@mail.example.com")
    assert (secure.port, secure.tls, secure.password) == (465, "implicit", "hush")
    assert "hush" not in repr(secure) + secure.shown


@pytest.mark.parametrize("sender", ["", "lockers", "a@b@", "Name <>", "x y@z"])
def test_a_sender_is_an_address(sender: str) -> None:
    with pytest.raises(MailSettingsError):
        make_transport("smtp://mail.example.com", sender)


def test_a_sender_may_have_a_name() -> None:
    assert str(parse_sender("lockers@kestrel.example")) == "Cubbyhole <lockers@kestrel.example>"
    assert str(parse_sender('"Fächer" <lockers@kestrel.example>')) == "Fächer <lockers@kestrel.example>"
