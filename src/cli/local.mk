# SPDX-License-Identifier: Apache-2.0
linkspan_SOURCES += \
	src/cli/check.c \
	src/cli/command.c \
	src/cli/command.h \
	src/cli/complete.c \
	src/cli/explain.c \
	src/cli/explain.h \
	src/cli/explain_draw.c \
	src/cli/joined.c \
	src/cli/joined.h \
	src/cli/journal_dump.c \
	src/cli/message_json.c \
	src/cli/message_json.h \
	src/cli/page.c \
	src/cli/page.h \
	src/cli/queue.c \
	src/cli/queue_client.c \
	src/cli/queue_client.h \
	src/cli/queue_offline.c \
	src/cli/queue_show.c \
	src/cli/queue_show.h \
	src/cli/reload.c \
	src/cli/route_words.c \
	src/cli/route_words.h \
	src/cli/run.c \
	src/cli/schema.c \
	src/cli/test.c \
	src/cli/test_report.c \
	src/cli/test_report.h \
	src/cli/trace.c \
	src/cli/trace.h \
	src/cli/trace_live.c \
	src/cli/trace_show.c
