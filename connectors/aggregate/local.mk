# SPDX-License-Identifier: Apache-2.0
nobase_dist_doc_DATA += connectors/aggregate/README.md
liblinkspan_a_SOURCES += \
	connectors/aggregate/aggregate.c \
	connectors/aggregate/panes.c \
	connectors/aggregate/panes.h \
	connectors/aggregate/partial.c \
	connectors/aggregate/partial.h \
	connectors/aggregate/sum.c \
	connectors/aggregate/sum.h
