# SPDX-License-Identifier: Apache-2.0
linkspan_SOURCES += \
	src/cli/check.c \
	src/cli/command.h \
	src/cli/journal_dump.c \
	src/cli/run.c \
	src/cli/schema.c
