# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	src/message/base64.c \
	src/message/base64.h \
	src/message/buffer.c \
	src/message/buffer.h \
	src/message/endian.h \
	src/message/markers.c \
	src/message/markers.h \
	src/message/message.c \
	src/message/message.h \
	src/message/siphash.c \
	src/message/siphash.h \
	src/message/slice.h \
	src/message/utf8.c \
	src/message/utf8.h
