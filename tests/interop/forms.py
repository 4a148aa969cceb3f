"""A browser of few words: follows redirects, keeps cookies, fills in the forms that it meets, and presses their button."""

import html.parser
import http.cookiejar
import urllib.error
import urllib.parse
import urllib.request

from parts import expect

MOST_PAGES = 12
AGREEING = ("approve", "allow", "accept", "yes", "true")


class Page(html.parser.HTMLParser):
    """A page that was reached: its address and status, its text, its links and its first form."""

    def __init__(self, answer):
        super().__init__()
        self.url, self.status, self.headers = answer.geturl(), answer.status, answer.headers
        self.html = answer.read().decode()
        self.words, self.links, self.form, self.fields = [], {}, None, {}
        self._form_open, self._link = False, None
        self.feed(self.html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "form" and self.form is None:
            self.form, self._form_open = given, True
        elif tag == "input" and self._form_open and "name" in given:
            self.fields[given["name"]] = given.get("value") or ""
        elif tag == "button" and self._form_open and "name" in given and "form" not in given:
            # The person agrees; where no button says so, the first is the one that goes on.
            if given["name"] not in self.fields or given.get("value") in AGREEING:
                self.fields[given["name"]] = given.get("value") or ""
        elif tag == "a":
            self._link = given.get("href")

    def handle_endtag(self, tag):
        if tag == "form":
            self._form_open = False
        elif tag == "a":
            self._link = None

    def handle_data(self, data):
        self.words.append(data)
        if self._link:
            self.links[data.strip("[] \n")] = self._link


class Browser:
    """One person's browser, with the cookies of that person."""

    def __init__(self):
        # Loopback only: a proxy of the surroundings has no part in this.
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)

    def load(self, url, form=None):
        """A page, whatever its status."""
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            answer = self.opener.open(url, data, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return Page(answer)

    def walk(self, link, press="Continue", **typed):
        """Goes from page to page until one has no form; a `press` that a page has as a link is followed as one."""
        page = self.load(link)
        for _ in range(MOST_PAGES):
            if page.form is None:
                return page
            is_consent = page.fields.get("prompt") == "consent"
            if is_consent and press in page.links:
                page = self.load(urllib.parse.urljoin(page.url, page.links[press]))
                continue
            fields = {name: value or typed.get(name, "x") for name, value in page.fields.items()}
            expect(page.form.get("method", "").lower() == "post", f"a form that is not posted: {page.form}")
            page = self.load(urllib.parse.urljoin(page.url, page.form.get("action", "")), fields)
        return expect(False, f"no end after {MOST_PAGES} pages: {page.url}")
