# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	src/runtime/failpoint.c \
	src/runtime/failpoint.h \
	src/runtime/log.c \
	src/runtime/log.h \
	src/runtime/loop.c \
	src/runtime/loop.h \
	src/runtime/loop_impl.h \
	src/runtime/loop_simulated.c
