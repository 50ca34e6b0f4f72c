"""The HTML page: whole, closed to the network, safe with what it is given."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from netlab.report.page import Badge, Code, Grid, Page, Picture, Prose, Section, html, prose

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
        assert self.open.pop() == tag


def parsed(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


PAGE = Page(
    "a < b",
    (Badge("3 of 3", "good"),),
    (
        Section("one", "One", (Prose("## Head\n\n**bold** <script>x</script>"), Code("$ a & b"))),
        Section("two", "Two", (Picture("<svg/>", 'it "shows"'), Grid(("a",), (("<b>",),)))),
    ),
    "foot",
)


def test_a_page_is_whole_and_needs_nothing_from_elsewhere():
    found = parsed(html(PAGE))
    assert {"h1", "h2", "h3", "table", "pre", "img", "nav", "main"} <= set(found.seen)
    assert "script" not in found.seen
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
def test_no_text_breaks_out(text):
    page = Page(text, (Badge(text, "bad"),), (Section("s", text, (
        Prose(text), Code(text), Grid((text,), ((text,),)), Picture("<svg/>", text),
    )),))  # fmt: skip
    reader = parsed(html(page))
    assert "script" not in reader.seen


def test_markdown_has_lists_code_and_links():
    found = parsed(prose("* a\n* `b`\n\n[c](#d)\n\n```\ne\n```"))
    assert {"ul", "li", "code", "a", "pre"} <= set(found.seen)
