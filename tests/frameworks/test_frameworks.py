"""Applications for Lambda that know nothing of microfaas, behind function URLs."""

from __future__ import annotations

import gzip
import http.client
import json
import subprocess
from urllib.parse import urlsplit

import pytest

from tests.frameworks.conftest import Urls

FORM = "application/x-www-form-urlencoded"
UPLOAD = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\x00\xff\r\n--b--\r\n"
)


class TestFastApi:
    def test_paths_queries_and_cookies(self, urls: Urls) -> None:
        answer = urls.ask("fastapi", "/items/7?tag=a%20b&tag=c", Cookie="seen=x; other=y")
        assert answer.json == {"id": 7, "tags": ["a b", "c"], "seen": "x"}

    def test_a_body_and_several_cookies(self, urls: Urls) -> None:
        answer = urls.ask("fastapi", "/items", "POST", {"name": "tea", "price": 1.5})
        assert (answer.status, answer.json) == (201, {"name": "tea", "price": 1.5})
        cookies = [each.partition(";")[0] for each in answer.headers.get_all("Set-Cookie")]
        assert cookies == ["seen=tea", "count=1"]

    def test_what_it_refuses(self, urls: Urls) -> None:
        assert urls.ask("fastapi", "/items", "POST", {"name": "tea"}).status == 422
        missing = urls.ask("fastapi", "/missing")
        assert (missing.status, missing.json) == (404, {"detail": "no such item"})

    def test_bytes_in_both_directions(self, urls: Urls) -> None:
        kind = "multipart/form-data; boundary=b"
        sent = urls.ask("fastapi", "/upload", "POST", UPLOAD, Content_Type=kind)
        assert sent.json == {"name": "a.bin", "bytes": [0, 255]}
        image = urls.ask("fastapi", "/image")
        assert (image.headers["Content-Type"], image.body) == ("image/png", b"\x89PNG\x00\xff")


class TestStarlette:
    def test_it_knows_its_url_and_its_client(self, urls: Urls) -> None:
        host = urlsplit(urls.urls["starlette"]).netloc
        answer = urls.ask("starlette", "/?a=b")
        assert answer.json == {"url": f"http://{host}/?a=b", "client": "127.0.0.1"}

    def test_redirects(self, urls: Urls) -> None:
        answer = urls.ask("starlette", "/away")
        assert (answer.status, answer.headers["Location"]) == (302, "/")

    def test_what_it_compresses_stays_compressed(self, urls: Urls) -> None:
        answer = urls.ask("starlette", "/large", Accept_Encoding="gzip")
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(answer.body) == b"a" * 100_000


class TestFlask:
    def test_paths_and_queries(self, urls: Urls) -> None:
        answer = urls.ask("flask", "/hello/gr%C3%BC%C3%9Fe?by=a&by=b")
        assert answer.json == {"hello": "grüße", "by": ["a", "b"]}

    def test_a_form_and_a_session(self, urls: Urls) -> None:
        answer = urls.ask("flask", "/form", "POST", b"name=Ada+L", Content_Type=FORM)
        assert answer.body == b"Ada L"
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        assert urls.ask("flask", "/again", Cookie=cookie).body == b"Ada L"

    def test_bytes(self, urls: Urls) -> None:
        assert urls.ask("flask", "/bytes").body == b"\x00\xff"


class TestPowertools:
    def test_the_resolver_routes(self, urls: Urls) -> None:
        answer = urls.ask("powertools", "/orders/7?x=1", Origin="https://shop.example")
        assert answer.json == {"order": "7", "from": "127.0.0.1", "q": "x=1"}
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"

    def test_it_answers_with_other_statuses(self, urls: Urls) -> None:
        made = urls.ask("powertools", "/orders", "POST", {"a": 1})
        assert (made.status, made.json) == (201, {"a": 1})
        none = urls.ask("powertools", "/none")
        assert (none.status, none.json["message"]) == (404, "there is none")

    def test_its_logger_knows_the_invocation(self, urls: Urls) -> None:
        assert urls.ask("powertools", "/orders/8").headers["x-amzn-RequestId"]

    def test_the_parser_takes_bodies_and_whole_events(self, urls: Urls) -> None:
        assert urls.ask("parsed", "/", "POST", {"id": 3, "what": "tea"}).body == b"3 tea"
        assert urls.ask("whole", "/", "PUT").body == b"PUT"

    def test_batches_tell_which_messages_failed(self, urls: Urls) -> None:
        records = [
            {"messageId": name, "body": json.dumps({"bad": bad}), "eventSource": "aws:sqs"}
            for name, bad in (("a", False), ("b", True), ("c", False))
        ]
        answer = urls.project.invoke("batch", {"Records": records})
        assert answer == {"batchItemFailures": [{"itemIdentifier": "b"}]}


class TestExpress:
    def test_paths_and_queries(self, urls: Urls) -> None:
        answer = urls.ask("express", "/hello/Ada?by=a")
        assert answer.json["hello"] == "Ada"
        assert answer.json["by"] == "a"

    def test_bodies_and_cookies(self, urls: Urls) -> None:
        answer = urls.ask("express", "/echo", "POST", {"a": 1})
        assert (answer.status, answer.json) == (201, {"a": 1})
        assert answer.headers.get_all("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/"]
        form = urls.ask("express", "/echo", "POST", b"a=1&b=x", Content_Type=FORM)
        assert form.json == {"a": "1", "b": "x"}

    def test_bytes(self, urls: Urls) -> None:
        assert urls.ask("express", "/bytes").body == b"\x00\xff"

    def test_what_is_not_there(self, urls: Urls) -> None:
        assert urls.ask("express", "/nowhere").status == 404


class TestStreams:
    def test_node_says_how_the_response_begins(self, urls: Urls) -> None:
        answer = urls.ask("hello", "/a/b")
        assert (answer.status, answer.body) == (201, b"<p>first</p><p>second</p>")
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert (answer.headers["Content-Type"], answer.headers["X-Path"]) == ("text/html", "/a/b")
        assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]

    def test_node_says_what_it_streams(self, urls: Urls) -> None:
        answer = urls.ask("plain")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain")
        assert answer.body == b"abc"

    def test_a_stream_may_be_larger_than_a_result(self, urls: Urls) -> None:
        assert urls.ask("large").body == b"x" * (20 * 1024 * 1024)

    def test_a_failure_in_the_middle_cuts_it_off(self, urls: Urls) -> None:
        with pytest.raises(http.client.IncompleteRead) as caught:
            urls.ask("broken")
        assert caught.value.partial == b"first"

    def test_a_custom_runtime_streams_responses(self, urls: Urls) -> None:
        answer = urls.ask("adapter", method="PATCH")
        assert (answer.status, answer.headers["X-Method"]) == (203, "PATCH")
        assert answer.body == b"piece 0\npiece 1\npiece 2\n"


class TestGo:
    """net/http's own server, which streams all it says."""

    def test_everything_of_a_request(self, urls: Urls) -> None:
        answer = urls.ask("go", "/items/7?q=a%20b", "POST", b"text", Cookie="seen=x")
        assert (answer.status, answer.headers["Content-Type"]) == (201, "application/json")
        assert answer.json == {"id": "7", "q": "a b", "body": "text", "seen": "x"}
        assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]

    def test_what_is_written_piece_by_piece(self, urls: Urls) -> None:
        assert urls.ask("go", "/lines").body == b"line 0\nline 1\nline 2\n"

    def test_what_is_not_there(self, urls: Urls) -> None:
        assert urls.ask("go", "/nowhere").status == 404


class TestRoutes:
    """The same applications behind routes, with events of both formats."""

    def test_mangum(self, urls: Urls) -> None:
        assert urls.route("/items/7?tag=a&tag=b").json == {"id": 7, "tags": ["a", "b"], "seen": ""}
        made = urls.route("/items", "POST", {"name": "tea", "price": 2.5})
        assert (made.status, made.json) == (201, {"name": "tea", "price": 2.5})
        cookies = [each.partition(";")[0] for each in made.headers.get_all("Set-Cookie")]
        assert cookies == ["seen=tea", "count=1"]

    def test_apig_wsgi(self, urls: Urls) -> None:
        assert urls.route("/form", "POST", b"name=Ada", Content_Type=FORM).body == b"Ada"
        assert urls.route("/bytes").body == b"\x00\xff"

    def test_serverless_http(self, urls: Urls) -> None:
        assert urls.route("/hello/Ada?by=a").json["hello"] == "Ada"
        answer = urls.route("/echo", "POST", {"a": 1})
        assert (answer.status, answer.json) == (201, {"a": 1})
        assert answer.headers.get_all("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/"]

    def test_powertools(self, urls: Urls) -> None:
        assert urls.route("/orders/7").json == {"order": "7", "given": {"order_id": "7"}}
        assert urls.route("/rest/7?q=a&q=b").json == {"order": "7", "q": ["a", "b"]}

    def test_what_has_no_route(self, urls: Urls) -> None:
        nowhere = urls.route("/")
        assert (nowhere.status, nowhere.json) == (404, {"message": "Not Found"})


def test_curl_finds_the_host_by_itself(urls: Urls) -> None:
    url = urls.urls["flask"] + "hello/Ada"
    done = subprocess.run(["curl", "-sS", url], capture_output=True, check=True)
    assert json.loads(done.stdout) == {"hello": "Ada", "by": []}
