#!/usr/bin/env python3
"""docs/rbac.md against a real API server.

  rbac.py expect PAGE SET MODE MINOR [webhook]
                                       the rights that the page gives each account there, one a line:
                                       ACCOUNT NAMESPACE RESOURCE NAME VERB
  rbac.py granted < LISTING            the output of `kubectl auth can-i --list` in such lines:
                                       RESOURCE NAME VERB
  rbac.py call URL CA TOKEN < RIGHTS   makes the call that each line NAMESPACE RESOURCE NAME VERB
                                       stands for, and prints those that the server does not take,
                                       with the reason; exit status 1 when there are any

RESOURCE is PLURAL[.GROUP][/SUBRESOURCE], as kubectl has it. NAMESPACE and NAME are * for all.
"""
import http.client
import json
import re
import ssl
import sys
import urllib.parse

HEADING = re.compile(r"## .*\(sets? ([^,)]*)(?:, mode (\w+))?\)$")
ACCOUNT = re.compile(r"(?:Service account|further rights of) `([^`]*)`")
LISTED = re.compile(r"(\S*)\s+\[(.*?)\]\s+\[(.*?)\]\s+\[(.*?)\]$")
NOBODY = "not-there"


def applies(when, words, minor):
    """The last column of a row: a mode or `webhook`, `1.N` for that and later versions, `before 1.N`."""
    if not when or when in words:
        return True
    if when.startswith("before 1."):
        return minor < int(when[9:])
    return when.startswith("1.") and minor >= int(when[2:])


def rights_of_row(cells, options, minor):
    """The cells of a row (without the call) as (NAMESPACE, RESOURCE, NAME, VERB)."""
    group, resources, verbs = cells[:3]
    if not applies(cells[3] if len(cells) > 3 else "", options, minor):
        return
    words, where, name = resources.split(), "*", "*"
    for place in "kube-system", "cluster":
        if place in words:
            at = words.index(place)
            where = "*" if place == "cluster" else place
            name, words = " ".join(words[at + 1:]) or "*", words[:at]
    for word in words:
        plural, slash, sub = word.partition("/")
        resource = plural + ("" if group == "core" else "." + group) + slash + sub
        for verb in verbs.split():
            yield where, resource, name, verb


def expect(page, image_set, mode, minor, *options):
    wanted, account = False, None
    with open(page, encoding="utf-8") as lines:
        for line in map(str.rstrip, lines):
            heading = HEADING.match(line)
            if line.startswith("## "):
                wanted = bool(heading) and image_set in heading[1].split(" and ") and heading[2] in (None, mode)
                account = None
            elif ACCOUNT.search(line):
                account = ACCOUNT.search(line)[1]
            elif wanted and line.startswith("|") and not line.startswith(("| call ", "|---")):
                for right in rights_of_row([c.strip() for c in line.strip("|").split("|")][1:], (mode, *options), int(minor)):
                    print(account, *right)


def granted():
    for line in sys.stdin:
        row = LISTED.match(line.rstrip())
        if not row:
            continue
        for verb in row[4].split():
            for name in row[3].split() or ["*"]:
                print(row[1] or "url:" + row[2], name, verb)


class Server:
    """An API server, as one account sees it."""

    def __init__(self, url, ca, token):
        self.connection = http.client.HTTPSConnection(
            urllib.parse.urlsplit(url).netloc, context=ssl.create_default_context(cafile=ca), timeout=60)
        self.token = token
        self.known = {}

    def ask(self, method, path, body=None, kind="application/json"):
        """The status, and what a JSON answer holds; of a watch nothing is read."""
        self.connection.request(method, path, body, {"Authorization": "Bearer " + self.token, "Content-Type": kind})
        answer = self.connection.getresponse()
        if "watch=1" in path and answer.status == 200:
            self.connection.close()
            return 200, {}
        text = answer.read()
        return answer.status, json.loads(text) if text.startswith(b"{") else {}

    def find(self, group, plural):
        """Where a resource is served, and whether it is in namespaces; the preferred version first, which need not have it."""
        if group not in self.known:
            bases = ["/api/v1"]
            if group:
                found = self.ask("GET", "/apis/" + group)[1]
                versions = [found["preferredVersion"]] + found["versions"]
                bases = ["/apis/" + version["groupVersion"] for version in versions]
            self.known[group] = [(base, {r["name"]: r["namespaced"] for r in self.ask("GET", base)[1]["resources"]}) for base in bases]
        return next(((base, resources[plural]) for base, resources in self.known[group] if plural in resources), (None, False))

    def call(self, where, resource, name, verb):
        full, slash, sub = resource.partition("/")
        plural, _, group = full.partition(".")
        base, is_namespaced = self.find(group, plural)
        if not base:
            return "no such resource"
        # A right to list one object by its name is one to list with this selector.
        only = "" if name == "*" else f"&fieldSelector=metadata.name%3D{name}"
        name = NOBODY if name == "*" else name
        all_of_it = verb in ("list", "watch") and where == "*"
        if is_namespaced and not all_of_it:
            base += "/namespaces/" + ("default" if where == "*" else where)
        one = f"{base}/{plural}/{name}{slash}{sub}"
        requests = {
            "get": ("GET", one),
            "list": ("GET", f"{base}/{plural}?limit=1{only}"),
            "watch": ("GET", f"{base}/{plural}?watch=1&timeoutSeconds=5{only}"),
            "create": ("POST", f"{base}/{plural}", "{}"),
            "update": ("PUT", one, "{}"),
            "patch": ("PATCH", one, "{}", "application/merge-patch+json"),
            "delete": ("DELETE", one),
        }
        status, answer = self.ask(*requests[verb])
        return self.judge(status, answer, sub)

    @staticmethod
    def judge(status, answer, sub):
        """Bodies are empty and names of nothing, so that what is allowed ends as bad or not found."""
        if status in (401, 403):
            return "refused: " + answer.get("message", str(status))
        if status == 405 or (status == 404 and "details" not in answer and sub != "finalizers"):
            return "no such call"
        return None if status in (200, 400, 404, 409, 422) else f"status {status}: {answer.get('message')}"


def call(url, ca, token):
    server, failed = Server(url, ca, token), 0
    for line in sys.stdin:
        problem = server.call(*line.split())
        if problem:
            print(f"{line.strip()}: {problem}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit({"expect": expect, "granted": granted, "call": call}[sys.argv[1]](*sys.argv[2:]))
