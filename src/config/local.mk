# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	src/config/guarantee.c \
	src/config/guarantee.h
