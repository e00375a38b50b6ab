# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += doc/reference.md
dist_man_MANS += doc/linkspan.1

# After a change of a table of keys: a test fails while the page is stale.
.PHONY: update-reference
update-reference: linkspan
	./linkspan schema --markdown > reference.md.new
	mv reference.md.new $(srcdir)/doc/reference.md
