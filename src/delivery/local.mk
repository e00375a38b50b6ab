# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	src/delivery/backoff.c \
	src/delivery/backoff.h \
	src/delivery/batch.c \
	src/delivery/courier.c \
	src/delivery/courier.h \
	src/delivery/courier_impl.h \
	src/delivery/dispatch.c \
	src/delivery/expiry.c \
	src/delivery/key_table.c \
	src/delivery/key_table.h \
	src/delivery/outbox.c \
	src/delivery/outcome.c \
	src/delivery/lane.c \
	src/delivery/lane.h \
	src/delivery/late.c \
	src/delivery/letters.c \
	src/delivery/live.c \
	src/delivery/pace.c \
	src/delivery/pace.h \
	src/delivery/packet_id.c \
	src/delivery/purge.c \
	src/delivery/retry_heap.c \
	src/delivery/retry_heap.h \
	src/delivery/room.c \
	src/delivery/stages.c \
	src/delivery/settle.c \
	src/delivery/stuck.c \
	src/delivery/surplus.c \
	src/delivery/times.c \
	src/delivery/together.c \
	src/delivery/window.c \
	src/delivery/window.h
