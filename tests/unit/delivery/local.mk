# SPDX-License-Identifier: Apache-2.0
# The fake journal comes before liblinkspan.a, so that the real one is not pulled in.
courier_rig_sources = \
	tests/unit/delivery/courier_rig.c \
	tests/unit/delivery/courier_rig.h \
	tests/unit/delivery/fake_journal.c \
	tests/unit/delivery/fake_journal.h

check_PROGRAMS += tests/unit/delivery/test_backoff
tests_unit_delivery_test_backoff_SOURCES = tests/unit/delivery/test_backoff.c
tests_unit_delivery_test_backoff_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_courier
tests_unit_delivery_test_courier_SOURCES = tests/unit/delivery/test_courier.c $(courier_rig_sources)
tests_unit_delivery_test_courier_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_courier_order
tests_unit_delivery_test_courier_order_SOURCES = tests/unit/delivery/test_courier_order.c $(courier_rig_sources)
tests_unit_delivery_test_courier_order_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_courier_backlog
tests_unit_delivery_test_courier_backlog_SOURCES = tests/unit/delivery/test_courier_backlog.c $(courier_rig_sources)
tests_unit_delivery_test_courier_backlog_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_courier_times
tests_unit_delivery_test_courier_times_SOURCES = tests/unit/delivery/test_courier_times.c $(courier_rig_sources)
tests_unit_delivery_test_courier_times_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_window
tests_unit_delivery_test_window_SOURCES = tests/unit/delivery/test_window.c
tests_unit_delivery_test_window_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_key_table
tests_unit_delivery_test_key_table_SOURCES = tests/unit/delivery/test_key_table.c
tests_unit_delivery_test_key_table_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_retry_heap
tests_unit_delivery_test_retry_heap_SOURCES = tests/unit/delivery/test_retry_heap.c
tests_unit_delivery_test_retry_heap_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_courier_clock
tests_unit_delivery_test_courier_clock_SOURCES = tests/unit/delivery/test_courier_clock.c $(journal_rig)
tests_unit_delivery_test_courier_clock_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_courier_journal
tests_unit_delivery_test_courier_journal_SOURCES = tests/unit/delivery/test_courier_journal.c $(journal_rig)
tests_unit_delivery_test_courier_journal_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_courier_full
tests_unit_delivery_test_courier_full_SOURCES = tests/unit/delivery/test_courier_full.c $(courier_rig_sources)
tests_unit_delivery_test_courier_full_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/delivery/test_pace
tests_unit_delivery_test_pace_SOURCES = tests/unit/delivery/test_pace.c
tests_unit_delivery_test_pace_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_lane
tests_unit_delivery_test_lane_SOURCES = tests/unit/delivery/test_lane.c
tests_unit_delivery_test_lane_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_courier_live
tests_unit_delivery_test_courier_live_SOURCES = tests/unit/delivery/test_courier_live.c $(courier_rig_sources)
tests_unit_delivery_test_courier_live_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_courier_memory
tests_unit_delivery_test_courier_memory_SOURCES = tests/unit/delivery/test_courier_memory.c $(courier_rig_sources)
tests_unit_delivery_test_courier_memory_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_courier_pace
tests_unit_delivery_test_courier_pace_SOURCES = tests/unit/delivery/test_courier_pace.c $(courier_rig_sources)
tests_unit_delivery_test_courier_pace_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/delivery/test_purge
tests_unit_delivery_test_purge_SOURCES = tests/unit/delivery/test_purge.c $(courier_rig_sources)
tests_unit_delivery_test_purge_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/delivery/test_courier_settle
tests_unit_delivery_test_courier_settle_SOURCES = tests/unit/delivery/test_courier_settle.c $(courier_rig_sources)
tests_unit_delivery_test_courier_settle_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_courier_batch
tests_unit_delivery_test_courier_batch_SOURCES = tests/unit/delivery/test_courier_batch.c $(courier_rig_sources)
tests_unit_delivery_test_courier_batch_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/delivery/test_batch_crash
tests_unit_delivery_test_batch_crash_SOURCES = tests/unit/delivery/test_batch_crash.c $(journal_rig)
tests_unit_delivery_test_batch_crash_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/delivery/test_courier_values
tests_unit_delivery_test_courier_values_SOURCES = tests/unit/delivery/test_courier_values.c $(courier_rig_sources)
tests_unit_delivery_test_courier_values_LDADD = $(TEST_LIBS)
