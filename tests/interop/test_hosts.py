"""Which Host and Origin headers are let in: what real MLflow refuses is refused, and what browsers send is let in by both."""

import http.client
from urllib.parse import urlsplit

import pytest

READ = ("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")
CHANGES = [
    ("POST", "/api/2.0/mlflow/runs/nothing"),
    ("POST", "/ajax-api/2.0/mlflow/runs/nothing"),
    ("PATCH", "/api/2.0/mlflow/registered-models/nothing"),
    ("DELETE", "/api/2.0/mlflow/registered-models/nothing"),
]
HOSTS = """localhost localhost:5000 127.0.0.1 127.0.0.1:80 127.0.0.2 127.1 0x7f000001 2130706433 0 0.0.0.0 0.0.0.0:1 [::1] [::1]:9
::1 [::1 [::] [fe80::1] [2001:db8::1] [::ffff:10.0.0.1] 10.0.0.1 10.1.2.3:99 10.0.0 192.168.1.1 192.168.1.1. 172.16.0.1
172.31.255.1:5 172.32.0.1 169.254.1.1 100.64.0.1 8.8.8.8 evil.example evil.example:5000 localhost.evil.example
127.0.0.1.evil.example 10.evil.example 192.168.evil.example 172.16.evil.example a@localhost localhost@evil.example
localhost/evil localhost. LOCALHOST""".split()
# Stricter here: a port that is no number, an address without its brackets. More lenient: private IPv6 addresses in brackets,
# which MLflow means to let in too.
STRICTER = ["localhost:abc", "localhost:5000:1", "fc00::1"]
LENIENT = ["[fd00::1]", "[fd00::1]:5", "[fdff::9]:1"]
ORIGINS = """http://localhost http://localhost:3000 https://localhost:1 http://127.0.0.1 http://127.0.0.1:9 https://127.0.0.1:5000
http://[::1]:9 http://0.0.0.0 http://0.0.0.0:5 http://evil.example https://evil.example null http://localhost.evil.example
http://10.0.0.1 http://192.168.1.5:8 localhost http://127.0.0.1.evil.example http://[fd00::1] http://127.0.0.2 file:// chrome-extension://abc http://::1""".split()
# Browsers write schemes and names in lower case, and origins without a user or a path; other ones are refused here.
NEVER_SENT = """http://LOCALHOST:1 HTTP://localhost http://localhost:3000/ ftp://localhost http://user@localhost
http://evil.example@localhost""".split()


def ask(server, method, path, host, origin=None):
    """Status, the text of a refusal, and who may read the answer."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host)
    if origin is not None:
        connection.putheader("Origin", origin)
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    refusal = text.decode() if answer.status == 403 else None
    return refusal, answer.getheader("Access-Control-Allow-Origin")


@pytest.mark.parametrize("host", HOSTS)
def test_hosts(real_server, server, host):
    for method, path in [READ, ("GET", "/health"), ("GET", "/version")]:
        assert ask(server, method, path, host) == ask(real_server, method, path, host), (method, path)


@pytest.mark.parametrize("host", STRICTER + LENIENT)
def test_hosts_that_the_two_see_otherwise(real_server, server, host):
    ours, theirs = ask(server, *READ, host)[0], ask(real_server, *READ, host)[0]
    assert (ours is None, theirs is None) == (host in LENIENT, host in STRICTER)


@pytest.mark.parametrize("origin", ORIGINS)
def test_origins(real_server, server, origin):
    for method, path in [READ, *CHANGES]:
        ours = ask(server, method, path, "localhost", origin)
        theirs = ask(real_server, method, path, "localhost", origin)
        assert ours[0] == theirs[0], (method, path)
        # Pages of this machine may read over TLS too.
        if not origin.startswith("https://"):
            assert ours[1] == theirs[1], (method, path)


@pytest.mark.parametrize("origin", NEVER_SENT)
def test_origins_that_no_browser_sends(server, origin):
    for method, path in CHANGES:
        assert ask(server, method, path, "localhost", origin) == ("Cross-origin request blocked", None)
