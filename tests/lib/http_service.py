#!/usr/bin/env python3
# http_service.py DIR [CERTIFICATE KEY] - a service that is asked about clients, good and bad, for tests
#
# Writes its port to DIR/http.port when it can be asked, and a line for each request to DIR/http.log. What it does is said by the
# path: /by_user asks the "username" of the body, /NAME does NAME. It ends when its standard input does, or by a signal.
import json
import os
import socket
import ssl
import sys
import threading
import urllib.parse

where = sys.argv[1]
lock = threading.Lock()
here = 0  # requests being answered


def log(**what):
    with lock, open(os.path.join(where, "http.log"), "a") as f:
        f.write(json.dumps(what) + "\n")


def read_request(f):
    line = f.readline(65536).decode("latin-1").split()
    if len(line) != 3:
        return None
    headers = {}
    while True:
        h = f.readline(65536).decode("latin-1").strip()
        if not h:
            break
        name, value = h.split(":", 1)
        headers[name.lower()] = value.strip()
    body = f.read(int(headers.get("content-length", 0)))
    return line[0], line[1], headers, body


def answer(s, status, body=b"", kind="application/json", more=""):
    head = f"HTTP/1.1 {status} X\r\n{more}"
    if status != 204:
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    s.sendall(head.encode() + b"\r\n" + body)


def say(s, **what):
    answer(s, 200, json.dumps(what).encode())


def act(s, what, files):
    if what == "allow":
        say(s, result="allow")
    elif what == "rich":
        say(s, result="allow", expires=60, groups=["a", "b"], attributes={"site": "x", "n": 5})
    elif what == "plain":
        answer(s, 200, b"ok", "text/plain")
    elif what == "empty":
        answer(s, 204)
    elif what in ("deny", "ignore", "nonsense"):
        say(s, result=what)
    elif what == "hidden":  # a no that is said in the wrong way
        answer(s, 200, b'{"result": "deny"}', "text/plain")
    elif what == "garbage":
        answer(s, 200, b'{"result": "all')
    elif what.isdigit():
        answer(s, int(what), b"{}")
    elif what == "redirect":
        answer(s, 302, b"", more="Location: /allow\r\n")
    elif what == "never":
        s.settimeout(None)
        s.recv(1)
        return False
    elif what == "close":
        return False
    elif what == "half":
        s.sendall(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        return False
    elif what == "huge":
        s.sendall(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n")
        for _ in range(1600):
            s.sendall(b" " * 65536)
    elif what == "endless_headers":
        s.sendall(b"HTTP/1.1 200 X\r\n")
        for i in range(1000000):
            s.sendall(b"X-%d: %s\r\n" % (i, b"x" * 1000))
    elif what == "no_http":
        s.sendall(b"\x10\x00 nothing that is known\r\n\r\n")
        return False
    elif what == "file":
        with open(os.path.join(where, files.get("name", "jwks")), "rb") as f:
            answer(s, 200, f.read())
    else:
        answer(s, 404)
    return True


def serve(s, n):
    global here
    try:
        s.settimeout(60)
        if context is not None:
            s = context.wrap_socket(s, server_side=True)
        f = s.makefile("rb")
        while True:
            request = read_request(f)
            if request is None:
                return
            method, target, headers, body = request
            path = urllib.parse.urlsplit(target)
            what = path.path.strip("/")
            with lock:
                here += 1
                at_once = here
            log(connection=n, method=method, target=target, body=body.decode("latin-1"), at_once=at_once,
                type=headers.get("content-type", ""), key=headers.get("x-key", ""))
            if what == "by_user":
                what = json.loads(body)["username"]
            try:
                goes_on = act(s, what, dict(urllib.parse.parse_qsl(path.query)))
            finally:
                with lock:
                    here -= 1
            if not goes_on:
                return
    except (OSError, ValueError, KeyError):
        pass
    finally:
        s.close()


context = None
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
with open(os.path.join(where, "http.port.new"), "w") as f:
    f.write(str(listener.getsockname()[1]))
os.rename(os.path.join(where, "http.port.new"), os.path.join(where, "http.port"))


def accept():
    n = 0
    while True:
        s, _ = listener.accept()
        n += 1
        threading.Thread(target=serve, args=(s, n), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
sys.stdin.buffer.read()
