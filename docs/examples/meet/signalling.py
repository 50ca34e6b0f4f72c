"""A web server for two browsers: the page, and a mailbox for each; it says nothing of its own."""

import http.server
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PAGE = Path(__file__).with_name("browser.html").read_bytes()
MAIL = {"a": [], "b": []}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = urlsplit(self.path)
        if asked.path == "/mail":  # all that there is for whoever asks, one message to a line
            box = MAIL[parse_qs(asked.query)["for"][0]]
            body = "\n".join(box).encode()
            box.clear()
        else:
            body = PAGE
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        to = parse_qs(urlsplit(self.path).query)["to"][0]
        MAIL[to].append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
