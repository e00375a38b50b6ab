# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	src/lastvalue/store.c \
	src/lastvalue/store.h
