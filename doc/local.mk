# SPDX-License-Identifier: Apache-2.0
# Installed as they lie in the tree, so that the links between them hold.
nobase_dist_doc_DATA += README.md CHANGELOG.md doc/reference.md doc/linkspan.schema.json doc/journal-format.md doc/markers.md doc/cloudevents.md \
	doc/alerts.yml doc/control-protocol.md doc/exactly-once.md doc/groups.md doc/grafana-dashboard.json doc/monitoring.md doc/testing.md
dist_man_MANS += doc/linkspan.1

# Once more where the ready-made mappings find it, and users under the shortest path.
schemadir = $(pkgdatadir)/doc
dist_schema_DATA = doc/linkspan.schema.json

# After a change of a table of keys: a test fails while the page or the schema is stale.
.PHONY: update-reference
update-reference: linkspan
	./linkspan schema --markdown > reference.md.new
	mv reference.md.new $(srcdir)/doc/reference.md
	./linkspan schema > linkspan.schema.json.new
	mv linkspan.schema.json.new $(srcdir)/doc/linkspan.schema.json
