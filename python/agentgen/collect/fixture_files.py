"""The files on which the NL2Bash tasks make sense, by path. Their contents are made here, from words and counters."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import zlib

WORDS = (
    *("river", "stone", "light", "paper", "garden", "window", "market", "summer", "winter", "engine", "signal"),
    *("letter", "number", "table", "bridge", "forest", "silver", "copper", "yellow", "simple", "gentle", "rapid"),
    *("quiet", "morning", "evening", "harbor", "island", "valley", "meadow", "lantern", "basket", "ladder"),
    *("mirror", "pencil", "ribbon", "saddle", "tunnel", "velvet", "walnut", "zephyr", "anchor", "barrel", "candle"),
)
WORDS_PER_LINE = 8
OLD_S = 1_704_067_200  # 2024-01-01: older than every "days ago" of the tasks
RECENT_S = 4_070_908_800  # 2099-01-01: newer than every "last days" of the tasks, whenever they run
HOUR_S = 3600

SPECIAL_MODES = {
    "/testbed/dir1/tool.sh": 0o553,
    "/testbed/dir1/subdir1/run.sh": 0o755,
    "/system/folder1/new_build.sh": 0o755,
    "/system/folder1/old_build.sh": 0o755,
    "/workspace/dir1/secret.txt": 0o400,
    "/workspace/dir1/public.txt": 0o777,
    "/workspace/start.sh": 0o755,
    "/workspace/dir2/stop.sh": 0o744,
    "/workspace/dir2/shared.txt": 0o666,
    "/tmp": 0o1777,  # noqa: S108  in the sandbox
}
RECENT = (
    *("/testbed/textfile1.txt", "/testbed/dir1/subdir1/main.py", "/system/folder1/new_build.sh"),
    *("/system/folder1/notes.txt", "/system/folder3/backup_dbg/new.sql", "/workspace/dir1/a.txt"),
    *("/workspace/dir2/report.txt", "/var/log/syslog"),
)
DIRECTORIES = (
    *("/backup", "/home/agent/newlinks", "/tmp"),  # noqa: S108  in the sandbox
    "/testbed/dir3/subdir1/subsubdir1/tmp",
    *("/system/folder3/temp/empty1", "/system/folder3/temp/empty2/inner", "/system/folder3/backup_dbg/backup"),
    *("/workspace/dir2/mysql", "/workspace/dir3"),
)
LINKS = {"/workspace/latest.txt": "dir1/a.txt", "/testbed/dir2/link.txt": "subdir1/textfile2.txt"}
VARIABLES = {"FILES": "/testbed/textfile1.txt /testbed/textfile7.txt", "DIRECTORY": "/testbed"}


def words(key: str, count: int) -> list[str]:
    """`count` words that depend on the key alone."""
    found: list[str] = []
    block = 0
    while len(found) < count:
        found += (WORDS[byte % len(WORDS)] for byte in hashlib.sha256(f"{key}:{block}".encode()).digest())
        block += 1
    return found[:count]


def prose(key: str, count: int, *also: str) -> str:
    """Lines of words, with given lines between them."""
    chosen = words(key, count)
    lines = [" ".join(chosen[at : at + WORDS_PER_LINE]) for at in range(0, count, WORDS_PER_LINE)]
    for number, line in enumerate(also):
        lines.insert(2 * number + 1, line)
    return "\n".join(lines) + "\n"


def gzipped(data: bytes) -> bytes:
    """A gzip file of one stored block (at most 65,535 bytes): the same bytes with every zlib."""
    length = len(data)
    block = struct.pack("<BHH", 1, length, length ^ 0xFFFF) + data
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + block + struct.pack("<II", zlib.crc32(data), length)


def archived(files: dict[str, str]) -> bytes:
    """A tar archive of texts, without owners and with one time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(text), OLD_S
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def java(name: str, text: str) -> str:
    """A program of one class."""
    return (
        f"public class {name} {{\n    public static void main(String[] arguments) {{\n"
        f'        System.out.println("{text}");\n    }}\n}}\n'
    )


def php(key: str, lines: int) -> str:
    """A page with so many lines of output, and blank ones between them."""
    body = "\n\n".join(f'echo "{word} world {number}";' for number, word in enumerate(words(key, lines)))
    return f"<?php\n{body}\n"


def table(key: str, head: str, count: int) -> str:
    """Rows of a name, a number and a word, below a head."""
    rows = [f"g{number:02} {number * 7 % 90 + 10} {word}" for number, word in enumerate(words(key, count))]
    return "\n".join([head, *rows]) + "\n"


def contents() -> dict[str, str | bytes]:
    """The content of every file, by its path."""
    return {**_testbed(), **_system(), **_workspace(), **_around()}


def _testbed() -> dict[str, str | bytes]:
    hello = java("Hello", "Hello")
    return {
        "/testbed/Hello.java": hello,
        "/testbed/HelloCopy.java": hello,
        "/testbed/Sum.java": java("Sum", "1 + 2"),
        "/testbed/README.txt": prose("readme", 40, "Hello reader"),
        "/testbed/textfile1.txt": prose("text1", 120, "a banana is yellow"),
        "/testbed/textfile7.txt": prose("text7", 60),
        "/testbed/long.txt": prose("long", 2500),
        "/testbed/empty.txt": "",
        "/testbed/index.php": php("index", 6),
        "/testbed/index.html": "<html><body><p>foo</p></body></html>\n",
        "/testbed/app.js": "const total = [1, 2, 3].reduce((a, b) => a + b);\nconsole.log(total);\n",
        "/testbed/main.c": '#include <stdio.h>\nint main(void) { puts("main"); return 0; }\n',
        "/testbed/notes.gz": gzipped(prose("notes", 80).encode()),
        "/testbed/job.history": "1 OK\n2 FAIL\n3 OK\n",
        "/testbed/dir1/readme.txt": prose("readme1", 24),
        "/testbed/dir1/tool.sh": "#!/bin/sh\necho tool\n",
        "/testbed/dir1/job.history": "1 OK\n2 OK\n",
        "/testbed/dir1/file.txt": prose("file1", 16),
        "/testbed/dir1/subdir1/main.py": 'print("Hello")\n',
        "/testbed/dir1/subdir1/helper.py": "def add(a, b):\n    return a + b\n",
        "/testbed/dir1/subdir1/run.sh": "#!/bin/sh\npython3 main.py\n",
        "/testbed/dir1/subdir1/textfile4.txt": table("left", "Gene left word", 12),
        "/testbed/dir1/subdir1/page.html": "<html><body><p>bar</p></body></html>\n",
        "/testbed/dir1/subdir2/foo01": prose("foo01", 24),
        "/testbed/dir1/subdir2/foo02": prose("foo02", 40),
        "/testbed/dir1/subdir2/view.php": php("view", 4),
        "/testbed/dir2/file.txt": prose("file2", 16),
        "/testbed/dir2/util.c": "int twice(int x)\n{\n    return 2 * x;\n}\n",
        "/testbed/dir2/more.gz": gzipped(prose("more", 40).encode()),
        "/testbed/dir2/subdir1/textfile2.txt": prose("shared", 64, "only in the second"),
        "/testbed/dir2/subdir1/list.php": php("list", 9),
        "/testbed/dir2/subdir1/menu.js": 'document.title = "menu";\n',
        "/testbed/dir2/subdir2/textfile5.txt": table("right", "Gene right word", 9),
        "/testbed/dir2/subdir2/textfile6.txt": prose("text6", 30),
        "/testbed/dir2/subdir2/job.history": "1 FAIL\n2 FAIL\n",
        "/testbed/dir3/subdir1/Greeting.java": java("Greeting", "Hello again"),
        "/testbed/dir3/subdir1/subsubdir1/textfile3.txt": prose("shared", 64),
        "/testbed/dir3/subdir1/subsubdir1/FooBar/file.txt": prose("foobar", 20),
        "/testbed/dir3/subdir1/subsubdir1/tmp/old.txt": prose("old", 10),
        "/testbed/dir3/FooBar.txt": prose("foobar2", 20),
        "/testbed/dir3/page.html": "<html><body><h1>foo bar</h1></body></html>\n",
    }


def _system() -> dict[str, str | bytes]:
    rows = "\n".join(",".join(words(f"csv{row}", 7)) for row in range(10)) + "\n"
    inner = {"folder2/a.txt": prose("inner a", 24, "a special line"), "folder2/b.txt": prose("inner b", 24)}
    return {
        "/system/text1.txt": prose("system1", 30),
        "/system/text2.txt": prose("system2", 30, "foo is a word"),
        "/system/ten.bin": b"0123456789",
        "/system/a.out": bytes(range(64)),
        "/system/main.o": bytes(range(128)),
        "/system/core": bytes(range(32)),
        "/system/build.out": prose("build", 16),
        "/system/folder2.tar.gz": gzipped(archived(inner)),
        "/system/folder1/data.csv": rows,
        "/system/folder1/hello.txt": "Hello\nsecond\nhello again\n",
        "/system/folder1/keep.txt": prose("keep", 20),
        "/system/folder1/notes.txt": prose("notes1", 20, "say HELLO"),
        "/system/folder1/special1.txt": prose("special1", 12),
        "/system/folder1/special2.md": prose("special2", 12),
        "/system/folder1/letter.doc": prose("letter", 50),
        "/system/folder1/build.log": prose("log1", 50),
        "/system/folder1/sub/test.log": prose("log2", 20),
        "/system/folder1/sub/old.doc": prose("old doc", 20),
        "/system/folder1/sub/lib.o": bytes(range(100)),
        "/system/folder1/new_build.sh": "#!/bin/sh\necho new\n",
        "/system/folder1/old_build.sh": "#!/bin/sh\necho old\n",
        "/system/folder1/text2": "two\n",
        "/system/folder1/text3": "three\n",
        "/system/folder1/text4": "four\n",
        "/system/folder2/.hidden": prose("hidden", 8),
        "/system/folder2/plain.txt": prose("plain", 300, "foo bar baz"),
        "/system/folder2/data/values.txt": "\n".join(str(number * number) for number in range(40)) + "\n",
        "/system/folder2/data/run.out": prose("run", 12),
        "/system/folder3/special.md": prose("folder3", 20),
        "/system/folder3/temp/empty.txt": "",
        "/system/folder3/temp/.DS_Store": "store\n",
        "/system/folder3/temp/._page": "page\n",
        "/system/folder3/temp/.apdisk": "disk\n",
        "/system/folder3/temp/temp1/text1.txt": "first line\r\nsecond line\r\nthird line\r\n",
        "/system/folder3/temp/temp1/empty.log": "",
        "/system/folder3/backup_dbg/old.sql": "SELECT 1;\n",
        "/system/folder3/backup_dbg/new.sql": "SELECT 2;\n",
        "/system/folder3/backup_dbg/backup/first.txt": prose("backup", 10),
    }


def _workspace() -> dict[str, str | bytes]:
    same = prose("same", 40)
    listed = ("/workspace/dir1/a.txt", "/workspace/dir1/sum.c", "/workspace/dir2/report.txt", "/workspace/foo")
    return {
        "/workspace/files.txt": "\n".join(listed) + "\n",
        "/workspace/results.txt": "\n".join(listed[:3]) + "\n",
        "/workspace/foo": "foo\n",
        "/workspace/.hidden1": "hidden\n",
        "/workspace/.hidden2": "hidden too\n",
        "/workspace/empty1.txt": "",
        "/workspace/start.sh": "#!/bin/sh\necho start\n",
        "/workspace/archive.tar.gz": gzipped(archived({"inside/one.txt": "one\n", "inside/two.txt": "two\n"})),
        "/workspace/report.gz": gzipped(prose("gz", 60).encode()),
        "/workspace/dir1/a.txt": "alpha\n\n   \nbeta\ngamma\n\n",
        "/workspace/dir1/long.txt": prose("long text", 160, "hello in the middle"),
        "/workspace/dir1/terminate.txt": prose("long text", 120) + "terminate\n",
        "/workspace/dir1/hello.txt": "Hello\nhello world\n",
        "/workspace/dir1/file.txt": "/usr/bin/env\n/home/agent/notes.txt\nplain.txt\n",
        "/workspace/dir1/sum.c": "int sum(int a, int b)\n{\n    return a + b;\n}\n",
        "/workspace/dir1/big.c": "\n".join(f"int f{number}(void) {{ return {number}; }}" for number in range(60))
        + "\n",
        "/workspace/dir1/secret.txt": "secret\n",
        "/workspace/dir1/public.txt": "public\n",
        "/workspace/dir1/copy1.txt": same,
        "/workspace/dir1/Names.TXT": prose("names", 16),
        "/workspace/dir2/copy2.txt": same,
        "/workspace/dir2/names.txt": prose("names2", 16),
        "/workspace/dir2/report.txt": prose("report", 400, "a hello here"),
        "/workspace/dir2/shared.txt": prose("shared2", 16),
        "/workspace/dir2/stop.sh": "#!/bin/sh\necho stop\n",
        "/workspace/dir2/foo": "another foo\n",
        "/workspace/dir2/mysql/tables.sql": "CREATE TABLE a (b INTEGER);\n",
        "/workspace/dir2/mysql/.cache": "cache\n",
        "/workspace/dir3/huge.txt": prose("huge", 6000),
        "/workspace/dir3/empty2.log": "",
    }


def _around() -> dict[str, str | bytes]:
    """What commands expect of a system; nothing of the host's."""
    user, group = "agent:x:65534:65534:agent:/home/agent:/bin/bash", "agent:x:65534:"
    return {
        "/etc/passwd": f"root:x:0:0:root:/root:/bin/sh\n{user}\n",
        "/etc/group": f"root:x:0:\n{group}\n",
        "/etc/hosts": "127.0.0.1 localhost sandbox\n",
        "/etc/hostname": "sandbox\n",
        "/etc/networks": "10.0.0.0\n10.0.0.0\n192.168.1.0\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nnetworks: files\n",
        "/var/log/syslog": prose("syslog", 40),
        "/var/log/syslog.1": prose("syslog1", 40),
        "/var/log/boot.log": prose("boot", 40),
        "/home/agent/notes.txt": prose("home", 20),
    }
