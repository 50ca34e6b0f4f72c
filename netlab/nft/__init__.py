"""nft's language: rules are built, lexed, listed and evaluated here."""
