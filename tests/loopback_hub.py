"""A hub on this machine: repositories, branches, commits, large files, tokens; and faults, when a test asks."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import yaml

OWNER, READER = "hf_owner", "hf_reader"  # tokens: of who may write, and of who may read what is private


@dataclass
class Repository:
    private: bool = False
    commits: dict = field(default_factory=dict)  # commit: {path: bytes}
    branches: dict = field(default_factory=lambda: {"main": None})  # and tags: name: commit
    messages: list = field(default_factory=list)

    def commit(self, files, branch="main", message=""):
        """Files on top of those of the branch."""
        before = self.commits.get(self.branches.get(branch), {})
        name = hashlib.sha1(f"{len(self.commits)}".encode()).hexdigest()
        self.commits[name] = {**before, **files}
        self.branches[branch] = name
        self.messages.append(message)
        return name

    def at(self, revision):
        commit = self.branches.get(revision, revision)
        return commit if commit in self.commits else None


class LoopbackHub:
    """What the hub's clients ask of it, on 127.0.0.1."""

    def __init__(self):
        self.repositories, self.large, self.asked, self.cards = {}, {}, [], []
        self.down, self.cut_after = False, None  # faults: answer 503; break off a file after so many bytes
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Asked", (Asked,), {"hub": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @contextmanager
    def open(self):
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            self.server.server_close()
            thread.join()


class Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LoopbackHub

    def do_GET(self):
        self.route()

    do_HEAD = do_POST = do_PUT = do_GET

    def route(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path))
        if self.hub.down:
            return self.answer(503)
        parts = path.strip("/").split("/")
        if path == "/api/repos/create":
            return self.create()
        if path == "/api/validate-yaml":
            return self.validate()
        if parts[0] == "large":
            return self.take_large(parts[1])
        if parts[:2] == ["api", "models"]:
            return self.about("/".join(parts[2:4]), parts[4:])
        if path.endswith(".git/info/lfs/objects/batch"):
            return self.large_batch()
        if len(parts) > 4 and parts[2] == "resolve":
            return self.resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        return self.answer(404)

    # ------------------------------------------------------------------------------ repositories

    def token(self):
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def create(self):
        told = json.loads(self.body)
        name = f"{told.get('organization') or 'user'}/{told['name']}"
        if self.token() != OWNER:
            return self.answer(401, {"error": "Invalid username or password."})
        known = name in self.hub.repositories
        private = bool(told.get("private")) or told.get("visibility") == "private"
        self.hub.repositories.setdefault(name, Repository(private))
        return self.answer(409 if known else 200, {"url": f"{self.hub.url}/{name}"})

    def validate(self):
        card = json.loads(self.body)["content"]
        header = yaml.safe_load(card.split("---\n")[1])
        sound = isinstance(header, dict) and header["license"] == header["license"].lower()
        self.hub.cards.append(header)
        return self.answer(200 if sound else 400, {"errors": [] if sound else [{"message": "license"}], "warnings": []})

    def allowed(self, name):
        """The repository, if this token may see it; answers where it may not."""
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and self.token() not in (OWNER, READER)):
            self.answer(401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return None
        return repository

    def about(self, name, rest):
        repository = self.allowed(name)
        if repository is None:
            return None
        if self.command == "POST" and self.token() != OWNER:
            return self.answer(403, {"error": "You may not write here"})
        if rest[:1] == ["branch"]:
            known = rest[1] in repository.branches
            repository.branches.setdefault(rest[1], repository.branches["main"])
            return self.answer(409 if known else 200, {})
        if rest[:1] == ["preupload"]:
            return self.preupload()
        if rest[:1] == ["commit"]:
            return self.commit(name, repository, rest[1])
        revision = rest[1] if len(rest) > 1 else "main"
        commit = repository.at(revision)
        if commit is None:
            return self.answer(404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"})
        if rest[:1] == ["tree"]:
            return self.answer(200, [entry(path, data) for path, data in repository.commits[commit].items()])
        siblings = [{"rfilename": path} for path in repository.commits[commit]]
        told = {"id": name, "modelId": name, "sha": commit, "private": repository.private, "siblings": siblings}
        return self.answer(200, {**told, "tags": [], "downloads": 0})

    # ------------------------------------------------------------------------------ commits

    def preupload(self):
        files = json.loads(self.body)["files"]
        modes = [("lfs" if file["path"].endswith(".safetensors") else "regular", file["path"]) for file in files]
        told = [{"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": None} for mode, path in modes]
        return self.answer(200, {"files": told})

    def large_batch(self):
        objects = json.loads(self.body)["objects"]
        for one in objects:
            one["actions"] = {"upload": {"href": f"{self.hub.url}/large/{one['oid']}"}}
        return self.answer(200, {"transfer": "basic", "objects": objects})

    def take_large(self, oid):
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.large[oid] = self.body
        return self.answer(200)

    def commit(self, name, repository, branch):
        lines = [json.loads(line) for line in self.body.splitlines()]
        files, message = {}, ""
        for value in (line["value"] for line in lines):
            if "summary" in value:
                message = value["summary"]
            elif "content" in value:
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                files[value["path"]] = self.hub.large[value["oid"]]
        proposed = "create_pr=1" in self.path
        commit = repository.commit(files, "refs/pr/1" if proposed else branch, message)
        told = {"commitUrl": f"{self.hub.url}/{name}/commit/{commit}", "commitOid": commit}
        return self.answer(
            200, {**told, **({"pullRequestUrl": f"{self.hub.url}/{name}/discussions/1"} if proposed else {})}
        )

    # ------------------------------------------------------------------------------ files

    def resolve(self, name, revision, path):
        repository = self.allowed(name)
        if repository is None:
            return None
        commit = repository.at(revision)
        if commit is None:
            return self.answer(404, {}, {"X-Error-Code": "RevisionNotFound"})
        if path not in repository.commits[commit]:
            return self.answer(404, {}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        data = repository.commits[commit][path]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag(path, data)}"', "Accept-Ranges": "bytes"}
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return self.answer(206 if start else 200, data[start:], headers)

    def answer(self, status, told=b"", headers=()):
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **dict(headers)}.items():
            self.send_header(key, value)
        if not isinstance(told, bytes):
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cut_after is not None and len(data) > self.hub.cut_after and status in (200, 206):
            self.wfile.write(data[: self.hub.cut_after])
            self.hub.down, self.close_connection = True, True
            return
        self.wfile.write(data)

    def log_message(self, *args):
        pass


def entry(path, data):
    """A file as the hub lists it."""
    told = {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
    if path.endswith(".safetensors"):
        told["lfs"] = {"oid": etag(path, data), "size": len(data), "pointerSize": 134}
    return told


def etag(path, data):
    return (hashlib.sha256 if path.endswith(".safetensors") else hashlib.sha1)(data).hexdigest()
