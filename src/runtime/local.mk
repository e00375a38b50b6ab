# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	src/runtime/bridge.c \
	src/runtime/bridge.h \
	src/runtime/control.c \
	src/runtime/control.h \
	src/runtime/disk_limits.c \
	src/runtime/disk_limits.h \
	src/runtime/endpoint.h \
	src/runtime/failpoint.c \
	src/runtime/failpoint.h \
	src/runtime/figures.c \
	src/runtime/figures.h \
	src/runtime/histogram.c \
	src/runtime/histogram.h \
	src/runtime/intake.c \
	src/runtime/log.c \
	src/runtime/log.h \
	src/runtime/loop.c \
	src/runtime/loop.h \
	src/runtime/loop_impl.h \
	src/runtime/loop_simulated.c \
	src/runtime/marking.c \
	src/runtime/marking.h \
	src/runtime/mhd_loop.c \
	src/runtime/mhd_loop.h \
	src/runtime/notify.c \
	src/runtime/notify.h \
	src/runtime/queue_batch.c \
	src/runtime/queue_dead.c \
	src/runtime/queue_impl.h \
	src/runtime/queue_request.c \
	src/runtime/queue_request.h \
	src/runtime/queue_service.c \
	src/runtime/queue_service.h \
	src/runtime/queue_waiting.c \
	src/runtime/receipts.c \
	src/runtime/receipts.h
