"""A project folder whose `python -m runtime …` is a stand-in: enough of each process to test the local stack."""

from pathlib import Path

STAND_IN = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *arguments):
        pass

process = sys.argv[1]
print(json.dumps({"process": sys.argv[1:], "environment": dict(os.environ)}), flush=True)
probed = dict.fromkeys(("api", "worker", "ingest"), "METRICS_PORT")
port = {"exchange": "EXCHANGE_PORT", **probed}.get(process)
if port:
    HTTPServer(("127.0.0.1", int(os.environ[port])), Answer).serve_forever()
"""


def project_with_stand_ins(root: Path) -> Path:
    """Make the folder under `root` and return it."""
    package = root / "runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(STAND_IN)
    return root
