"""The HTML page: whole, closed to the network, safe with what it is given."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

from hypothesis import example, given
from hypothesis import strategies as st

from netlab.diagram.page import Badge, Code, Grid, Link, Page, Picture, Prose, Section, html, prose
from netlab.diagram.primitives.markup import document

VOID = {"meta", "link", "img", "br", "hr"}


class Reader(HTMLParser):
    """Notes elements, identifiers and links, and fails where tags do not match."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.seen = []
        self.ids = []
        self.links = []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        given = dict(attributes)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [v for k, v in attributes if k in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:  # `<br />`
            assert self.open.pop() == tag


def parsed(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


DRAWING = document(9, 9, "t", "d", [])
PAGE = Page(
    "a < b",
    (Badge("3 of 3", "good"),),
    (
        Section("one", "One", (Prose("## Head\n\n**bold** <script>x</script>"), Code("$ a & b"))),
        Section("two", "Two", (Picture(DRAWING, 'it "shows"', "map"), Grid(("a",), (("<b>",),)))),
    ),
    "foot",
)


def test_a_page_is_whole_and_needs_nothing_from_elsewhere():
    found = parsed(html(PAGE))
    assert {"h1", "h2", "h3", "table", "pre", "svg", "nav", "main"} <= set(found.seen)
    assert found.seen.count("script") == 1
    assert all(link.startswith(("#", "data:")) for link in found.links)
    inside = {link[1:] for link in found.links if link.startswith("#")}
    assert inside <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))


def test_equal_pages_give_equal_documents():
    assert html(PAGE) == html(PAGE)


def test_dark_light_and_print_are_there():
    text = html(PAGE)
    assert "prefers-color-scheme:dark" in text
    assert "@media print" in text


@given(st.text(max_size=60))
@example("\\\r0")  # a hard line break of Markdown
def test_no_text_breaks_out(text):
    page = Page(text, (Badge(text, "bad"),), (Section("s", text, (
        Prose(text), Code(text), Grid((text,), ((text,),)), Picture("<svg/>", text),
    )),))  # fmt: skip
    reader = parsed(html(page))
    assert reader.seen.count("script") == 1  # ours; the policy allows no other


def test_markdown_has_lists_code_and_links():
    found = parsed(prose("* a\n* `b`\n\n[c](#d)\n\n```\ne\n```"))
    assert {"ul", "li", "code", "a", "pre"} <= set(found.seen)


def test_drawings_in_one_page_have_names_of_their_own():
    drawings = tuple(Picture(DRAWING, "words", key) for key in ("one", "two"))
    text = html(Page("t", (), (Section("s", "S", drawings),)))
    found = parsed(text)
    assert {"one-title", "one-desc", "two-title", "two-desc"} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert 'aria-labelledby="two-title two-desc"' in text
    assert found.seen.count("style") == 1  # the page's, which knows the reader's switch


def test_a_row_can_be_linked_to_and_links_to_its_drawing():
    grid = Grid(("packet",), ((Link("#1", "#map"),),), keys=("packet-1",), packets=("1",))
    found = parsed(html(Page("t", (), (Section("s", "S", (grid, Picture(DRAWING, "", "map"))),))))
    assert "#map" in found.links
    assert {"map", "packet-1"} <= set(found.ids)


def test_the_policy_allows_this_style_and_this_script_alone():
    text = html(PAGE)
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    for kind in ("style", "script"):
        [content] = re.findall(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = b64encode(sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert " style=" not in text  # which the policy would not let pass
    assert " onclick=" not in text


def test_a_long_table_is_folded():
    rows = tuple((str(n),) for n in range(100))
    found = parsed(html(Page("t", (), (Section("s", "S", (Grid(("n",), rows),)),))))
    assert "summary" in found.seen
