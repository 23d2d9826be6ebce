"""A FastAPI application, as its documentation would have it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Cookie, FastAPI, File, HTTPException, Query, Response, UploadFile
from mangum import Mangum
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float


@app.get("/items/{item_id}")
def read(
    item_id: int, tag: Annotated[list[str], Query()] = (), seen: Annotated[str, Cookie()] = ""
) -> dict:
    return {"id": item_id, "tags": tag, "seen": seen}


@app.post("/items", status_code=201)
def create(item: Item, response: Response) -> Item:
    response.set_cookie("seen", item.name)
    response.set_cookie("count", "1")
    return item


@app.get("/missing")
def missing() -> None:
    raise HTTPException(404, "no such item")


@app.post("/upload")
async def upload(file: Annotated[UploadFile, File()]) -> dict:
    return {"name": file.filename, "bytes": list(await file.read())}


@app.get("/image")
def image() -> Response:
    return Response(b"\x89PNG\x00\xff", media_type="image/png")


handler = Mangum(app)
