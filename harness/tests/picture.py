#!/usr/bin/python3
"""A picture of a page, as docs/report-*.png are.

    harness/tests/picture.py REPORT.html OUT.png [HEIGHT]

HEIGHT in pixels cuts the page; its width is 1200. With pngquant the picture is a third as large.
"""
import shutil
import subprocess
import sys

import browser


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    page, out = sys.argv[1:3]
    with browser.Browser() as window:
        window.open(page).picture(out, int(sys.argv[3]) if len(sys.argv) == 4 else None)
    if shutil.which("pngquant"):
        subprocess.run(["pngquant", "--force", "--strip", "--output", out, "96", out], check=True)


if __name__ == "__main__":
    main()
