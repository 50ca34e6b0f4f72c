"""What every drawing needs: how wide a text is, lines of box characters, SVG markup."""
