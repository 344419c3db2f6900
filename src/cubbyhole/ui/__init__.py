"""How Cubbyhole looks and speaks: the bank picture, icons, templates, words. It knows no feature, only shapes."""
