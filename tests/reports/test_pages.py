import pytest

from asli.errors import AsliError
from asli.reports.pages import MARK, require_page


def test_a_page_takes_the_place_of_a_page_only(tmp_path):
    page = tmp_path / "page.html"
    require_page(page)
    page.write_text(f"<!doctype html>\n<head>\n{MARK}\n")
    require_page(page)
    page.write_text("<p>mine</p>")
    for taken in (page, tmp_path):
        with pytest.raises(AsliError, match="is no page of asli; give another --html"):
            require_page(taken)
