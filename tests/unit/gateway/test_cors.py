"""What the gateway says to browsers for a function."""

from __future__ import annotations

from microfaas.gateway.cors import Cors

ORIGIN = "https://a.example"


def test_everybody_may_where_a_star_says_so() -> None:
    found = Cors({"AllowOrigins": ["*"], "AllowMethods": ["*"], "AllowHeaders": ["*"]})
    assert dict(found.preflight(ORIGIN, "PUT", "x-a,x-b")) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "PUT",
        "Access-Control-Allow-Headers": "x-a,x-b",
    }


def test_with_credentials_a_star_is_the_origin_itself() -> None:
    found = dict(Cors({"AllowOrigins": ["*"], "AllowCredentials": True}).applied([], ORIGIN))
    assert found == {
        "Access-Control-Allow-Origin": ORIGIN,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }


def test_other_origins_get_nothing() -> None:
    cors = Cors({"AllowOrigins": [ORIGIN], "ExposeHeaders": ["x-a"]})
    for origin in ("", "https://b.example", "https://a.example.evil"):
        assert cors.preflight(origin, "GET", "") == []
        assert cors.applied([("X-A", "1"), ("Access-Control-Allow-Origin", "*")], origin) == [
            ("X-A", "1")
        ]


def test_settings_without_origins_allow_none() -> None:
    assert Cors({"MaxAge": 5}).preflight(ORIGIN, "GET", "") == []


def test_a_scheme_may_stand_for_all_its_origins() -> None:
    cors = Cors({"AllowOrigins": ["https://*"]})
    allowed = [("Access-Control-Allow-Origin", ORIGIN), ("Vary", "Origin")]
    assert cors.applied([], ORIGIN) == allowed
    for origin in ("http://a.example", "https:", "*", "null"):
        assert cors.applied([], origin) == []


def test_nothing_comes_back_that_no_header_holds() -> None:
    cors = Cors({"AllowOrigins": ["https://*"], "AllowMethods": ["*"], "AllowHeaders": ["*"]})
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET\r\nX: 1"}
    asked["Access-Control-Request-Headers"] = "x-a\udcff"
    allowed = [("Access-Control-Allow-Origin", ORIGIN), ("Vary", "Origin")]
    assert cors.permission(asked) == allowed
    assert cors.permission({**asked, "Origin": f"{ORIGIN}\nX: 1"}) == []
    assert cors.applied([], "https://\u00e4.example") == []
