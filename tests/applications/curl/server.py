# Says what it was asked, and that /absent is not there.
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self, body=b""):
        answer = b"%s %s\n" % (self.path.encode(), body)
        self.send_response(404 if self.path == "/absent" else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self):
        self.do_GET(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", 8090), Handler).serve_forever()
