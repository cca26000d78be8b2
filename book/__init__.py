"""The book: a static site of the notebooks, the results, the tables and the library's own words.

`make book` writes it to `build/book`; open `index.html` there, no server and no network needed.
Sphinx does the work. What is here is its configuration, the pages that nothing else holds, and
three small translations: docstrings, formulas and the catalogue.
"""
