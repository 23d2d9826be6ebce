"""A Flask application behind apig-wsgi."""

from __future__ import annotations

from apig_wsgi import make_lambda_handler
from flask import Flask, Response, jsonify, request, session

app = Flask(__name__)
app.secret_key = "not one"


@app.route("/hello/<name>")
def hello(name: str) -> Response:
    return jsonify(hello=name, by=request.args.getlist("by"))


@app.route("/form", methods=["POST"])
def form() -> str:
    session["name"] = request.form["name"]
    return request.form["name"]


@app.route("/again")
def again() -> str:
    return str(session.get("name"))


@app.route("/bytes")
def data() -> Response:
    return Response(b"\x00\xff", mimetype="application/octet-stream")


handler = make_lambda_handler(app.wsgi_app, binary_support=True)
