"""Network labs of Linux namespaces that can say why a packet died."""

__version__ = "0.1.0"
