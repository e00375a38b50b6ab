# SPDX-License-Identifier: Apache-2.0
# What `include: [NAME]` finds; see src/config/load_include.c.
mappingsdir = $(pkgdatadir)/mappings
dist_mappings_DATA = mappings/README.md
