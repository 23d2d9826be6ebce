"""The watch, with real directories and the real kernel."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from microfaas.triggers import watching
from microfaas.triggers.watching import Batch, Gone, Note, Watch, Watcher, changes

# The limit is only there to end a broken test.
PATIENCE_S = 60.0


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    made = Watcher()
    yield made
    made.close()


@pytest.fixture
async def watch(watcher: Watcher, tmp_path: Path) -> AsyncIterator[Watch]:
    (tmp_path / "in").mkdir()
    made = await watcher.watch(str(tmp_path / "in"))
    yield made
    made.close()


async def heard(watch: Watch, *names: str) -> dict[str, Note]:
    """Everything heard until each of the names was; relative to the root."""
    notes: dict[str, Note] = {}
    async with asyncio.timeout(PATIENCE_S):
        while not set(names) <= set(notes):
            batch: Batch = await watch.batch()
            notes |= {os.path.relpath(path, watch.root): note for path, note in batch.items()}
    return notes


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # of another thread
            await asyncio.sleep(0.002)


async def settled(watch: Watch, name: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await heard(watch, name))[name] is not Note.SETTLED:
            pass


async def test_a_write_settles_with_its_close(watch: Watch) -> None:
    file = os.open(f"{watch.root}/a", os.O_WRONLY | os.O_CREAT)
    os.write(file, b"x")
    assert await heard(watch, "a") == {"a": Note.CREATED}
    os.close(file)
    assert await heard(watch, "a") == {"a": Note.SETTLED}


async def test_renames_settle_at_their_end_at_once(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    os.rename(tmp_path / "x", f"{watch.root}/a")
    assert await heard(watch, "a") == {"a": Note.SETTLED}
    os.rename(f"{watch.root}/a", f"{watch.root}/b")
    assert await heard(watch, "a", "b") == {"a": Note.REMOVED, "b": Note.SETTLED}
    os.rename(f"{watch.root}/b", tmp_path / "x")
    assert await heard(watch, "b") == {"b": Note.REMOVED}


async def test_links_and_removals(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    os.link(tmp_path / "x", f"{watch.root}/hard")
    os.symlink("x", f"{watch.root}/soft")
    assert await heard(watch, "hard", "soft") == {"hard": Note.CREATED, "soft": Note.CREATED}
    os.unlink(f"{watch.root}/hard")
    assert await heard(watch, "hard") == {"hard": Note.REMOVED}


async def test_a_new_directory_is_noted_and_watched(watch: Watch) -> None:
    os.makedirs(f"{watch.root}/a/b/c")
    assert (await heard(watch, "a"))["a"] is Note.TREE
    # Before, the file would be for the reader of the tree to find.
    await until(lambda: f"{watch.root}/a/b/c" in watch._descriptors)
    Path(watch.root, "a/b/c/file").touch()
    await settled(watch, "a/b/c/file")


async def test_a_directory_moved_about_keeps_its_right_name(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    os.rename(tmp_path / "tree", f"{watch.root}/tree")
    await heard(watch, "tree")
    os.rename(f"{watch.root}/tree", f"{watch.root}/other")
    assert (await heard(watch, "tree", "other"))["tree"] is Note.TREE
    Path(watch.root, "other/sub/file").touch()
    await settled(watch, "other/sub/file")
    os.rename(f"{watch.root}/other", tmp_path / "away")
    await heard(watch, "other")
    (tmp_path / "away" / "sub" / "unheard").touch()
    Path(watch.root, "last").touch()
    assert set(await heard(watch, "last")) == {"last"}


async def test_a_directory_made_again_is_watched_again(watch: Watch) -> None:
    for _ in range(3):
        os.mkdir(f"{watch.root}/d")
        await heard(watch, "d")
        Path(watch.root, "d/file").touch()
        await settled(watch, "d/file")
        shutil.rmtree(f"{watch.root}/d")
        await heard(watch, "d", "d/file")


@pytest.mark.parametrize("again", [False, True])
async def test_a_root_that_is_removed_is_gone(watch: Watch, again: bool) -> None:
    os.rmdir(watch.root)
    if again:  # often with the very inode of the old one
        os.mkdir(watch.root)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(Gone):
            await watch.batch()


async def test_a_root_whose_parent_moves_is_gone(
    watcher: Watcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ROOT_CHECK_S", 0.05)
    (tmp_path / "a" / "in").mkdir(parents=True)
    watch = await watcher.watch(str(tmp_path / "a" / "in"))
    os.rename(tmp_path / "a", tmp_path / "b")
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(Gone):
            await watch.batch()


async def test_an_overflow_watches_anew_and_asks_for_a_scan(watch: Watch) -> None:
    os.mkdir(f"{watch.root}/d")
    await heard(watch, "d")
    watch.on_queue_overflow()
    assert await heard(watch, ".") == {".": Note.TREE}
    Path(watch.root, "d/file").touch()
    await settled(watch, "d/file")


async def test_a_batch_nobody_fetches_stays_bounded(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "BATCH_PATHS_MAX", 10)
    for number in range(500):
        Path(watch.root, str(number)).touch()
    await until(lambda: watch.root in watch._batch)
    notes = await watch.batch()
    assert len(notes) <= 10
    assert notes[watch.root] is Note.TREE


async def test_no_directory_no_watch(watcher: Watcher, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await watcher.watch(str(tmp_path / "none"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        await watcher.watch(str(tmp_path / "file"))


async def test_changes_of_code_come_as_one(watcher: Watcher, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "data").mkdir(parents=True)
    found = changes(watcher, str(source), {str(source / "data")})
    async with asyncio.timeout(PATIENCE_S):
        assert await anext(found) == set()
        first = asyncio.ensure_future(anext(found))
        (source / "data" / "unheard").touch()
        (source / "__pycache__").mkdir()
        (source / "__pycache__" / "unheard").touch()
        (source / "app.py").write_text("1")
        (source / "lib.py").write_text("1")
        assert await first == {str(source / "app.py"), str(source / "lib.py")}
        shutil.rmtree(source)
        again = asyncio.ensure_future(anext(found))
        while not again.done():
            await asyncio.sleep(0.01)
            source.mkdir(exist_ok=True)
        assert again.result() == set()
    await found.aclose()  # type: ignore[attr-defined]


async def test_changes_of_a_zip_are_its_own_only(watcher: Watcher, tmp_path: Path) -> None:
    archive = tmp_path / "code.zip"
    archive.touch()
    found = changes(watcher, str(archive))
    async with asyncio.timeout(PATIENCE_S):
        assert await anext(found) == set()
        first = asyncio.ensure_future(anext(found))
        (tmp_path / "other").touch()
        await asyncio.sleep(0.3)
        archive.write_text("new")
        assert await first == {str(archive)}
    await found.aclose()  # type: ignore[attr-defined]
