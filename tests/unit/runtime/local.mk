# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/runtime/test_loop tests/unit/runtime/test_receipts tests/unit/runtime/test_log
tests_unit_runtime_test_loop_SOURCES = tests/unit/runtime/test_loop.c
tests_unit_runtime_test_loop_LDADD = $(TEST_LIBS)
tests_unit_runtime_test_receipts_SOURCES = tests/unit/runtime/test_receipts.c
tests_unit_runtime_test_receipts_LDADD = $(TEST_LIBS)
tests_unit_runtime_test_log_SOURCES = tests/unit/runtime/test_log.c
tests_unit_runtime_test_log_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/runtime/test_bridge
tests_unit_runtime_test_bridge_SOURCES = tests/unit/runtime/test_bridge.c
tests_unit_runtime_test_bridge_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/runtime/test_bridge_faults
tests_unit_runtime_test_bridge_faults_SOURCES = tests/unit/runtime/test_bridge_faults.c
tests_unit_runtime_test_bridge_faults_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/runtime/test_histogram
tests_unit_runtime_test_histogram_SOURCES = tests/unit/runtime/test_histogram.c
tests_unit_runtime_test_histogram_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/runtime/test_acknowledgements
tests_unit_runtime_test_acknowledgements_SOURCES = tests/unit/runtime/test_acknowledgements.c \
	tests/unit/mqtt/fake_broker.c tests/unit/mqtt/fake_broker.h
tests_unit_runtime_test_acknowledgements_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/runtime/test_disk_limits
tests_unit_runtime_test_disk_limits_SOURCES = tests/unit/runtime/test_disk_limits.c
tests_unit_runtime_test_disk_limits_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/runtime/test_bridge_full
tests_unit_runtime_test_bridge_full_SOURCES = tests/unit/runtime/test_bridge_full.c
tests_unit_runtime_test_bridge_full_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/runtime/test_marking
tests_unit_runtime_test_marking_SOURCES = tests/unit/runtime/test_marking.c tests/unit/journal/rig.c tests/unit/journal/rig.h \
	tests/unit/routing/a_config.c tests/unit/routing/a_config.h
tests_unit_runtime_test_marking_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/runtime/test_queue
tests_unit_runtime_test_queue_SOURCES = tests/unit/runtime/test_queue.c tests/unit/journal/rig.c tests/unit/journal/rig.h
tests_unit_runtime_test_queue_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/runtime/test_control
tests_unit_runtime_test_control_SOURCES = tests/unit/runtime/test_control.c
tests_unit_runtime_test_control_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/runtime/test_replies
tests_unit_runtime_test_replies_SOURCES = tests/unit/runtime/test_replies.c $(journal_rig)
tests_unit_runtime_test_replies_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/runtime/test_offers
tests_unit_runtime_test_offers_SOURCES = tests/unit/runtime/test_offers.c
tests_unit_runtime_test_offers_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/runtime/test_spacing
tests_unit_runtime_test_spacing_SOURCES = tests/unit/runtime/test_spacing.c tests/unit/journal/rig.c tests/unit/journal/rig.h \
	tests/unit/routing/a_config.c tests/unit/routing/a_config.h
tests_unit_runtime_test_spacing_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/runtime/test_queue_watch
tests_unit_runtime_test_queue_watch_SOURCES = tests/unit/runtime/test_queue_watch.c
tests_unit_runtime_test_queue_watch_LDADD = $(TEST_LIBS)
