# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	src/journal/append.c \
	src/journal/checkpoint.c \
	src/journal/commit.c \
	src/journal/crc32c.c \
	src/journal/crc32c.h \
	src/journal/dead_letter.c \
	src/journal/disk.h \
	src/journal/disk_posix.c \
	src/journal/frame.c \
	src/journal/frame.h \
	src/journal/identity.c \
	src/journal/identity.h \
	src/journal/journal.c \
	src/journal/journal.h \
	src/journal/journal_impl.h \
	src/journal/pages.c \
	src/journal/pages.h \
	src/journal/prepare.c \
	src/journal/quarantine.c \
	src/journal/ranges.c \
	src/journal/ranges.h \
	src/journal/reader.c \
	src/journal/recovery.c \
	src/journal/segment.c \
	src/journal/segment.h \
	src/journal/sequences.c \
	src/journal/sequences.h \
	src/journal/state.c \
	src/journal/state.h
