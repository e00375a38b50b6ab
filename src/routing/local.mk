# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	src/routing/arena.c \
	src/routing/arena.h \
	src/routing/cbor_read.c \
	src/routing/cbor.h \
	src/routing/cbor_write.c \
	src/routing/format.c \
	src/routing/format.h \
	src/routing/header_text.c \
	src/routing/header_text.h \
	src/routing/hops.c \
	src/routing/hops.h \
	src/routing/jq_program.c \
	src/routing/jq_program.h \
	src/routing/jq_scan.c \
	src/routing/jq_scan.h \
	src/routing/json.c \
	src/routing/json.h \
	src/routing/mapping.c \
	src/routing/mapping.h \
	src/routing/router.c \
	src/routing/router.h \
	src/routing/filter_list.c \
	src/routing/filter_list.h \
	src/routing/reply.c \
	src/routing/reply.h \
	src/routing/template.c \
	src/routing/template.h \
	src/routing/topic_filter.c \
	src/routing/topic_filter.h \
	src/routing/topic_index.c \
	src/routing/topic_index.h \
	src/routing/topic_shape.c \
	src/routing/topic_shape.h \
	src/routing/transform.c \
	src/routing/transform.h
