# SPDX-License-Identifier: Apache-2.0
linkspan_SOURCES += \
	src/cli/check.c \
	src/cli/command.h \
	src/cli/schema.c
