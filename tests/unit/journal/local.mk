# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += \
	tests/unit/journal/test_clocks \
	tests/unit/journal/test_dead_letters \
	tests/unit/journal/test_disk_posix \
	tests/unit/journal/test_dump \
	tests/unit/journal/test_failures \
	tests/unit/journal/test_formats \
	tests/unit/journal/test_journal \
	tests/unit/journal/test_keys \
	tests/unit/journal/test_overflow \
	tests/unit/journal/test_overflow_order \
	tests/unit/journal/test_recovery \
	tests/unit/journal/test_sequences \
	tests/unit/journal/test_space \
	tests/unit/journal/test_threads \
	tests/unit/journal/test_totals \
	tests/unit/journal/test_values
journal_rig = tests/unit/journal/rig.c tests/unit/journal/rig.h
tests_unit_journal_test_clocks_SOURCES = tests/unit/journal/test_clocks.c $(journal_rig)
tests_unit_journal_test_clocks_LDADD = $(TEST_LIBS)
tests_unit_journal_test_disk_posix_SOURCES = tests/unit/journal/test_disk_posix.c
tests_unit_journal_test_disk_posix_LDADD = $(TEST_LIBS)
tests_unit_journal_test_dump_SOURCES = tests/unit/journal/test_dump.c src/cli/journal_dump.c
tests_unit_journal_test_dump_LDADD = $(TEST_LIBS)
tests_unit_journal_test_failures_SOURCES = tests/unit/journal/test_failures.c $(journal_rig)
tests_unit_journal_test_failures_LDADD = $(TEST_LIBS)
tests_unit_journal_test_formats_SOURCES = tests/unit/journal/test_formats.c
tests_unit_journal_test_formats_LDADD = $(TEST_LIBS)
tests_unit_journal_test_journal_SOURCES = tests/unit/journal/test_journal.c $(journal_rig)
tests_unit_journal_test_journal_LDADD = $(TEST_LIBS)
tests_unit_journal_test_keys_SOURCES = tests/unit/journal/test_keys.c $(journal_rig)
tests_unit_journal_test_keys_LDADD = $(TEST_LIBS)
tests_unit_journal_test_overflow_SOURCES = tests/unit/journal/test_overflow.c $(journal_rig)
tests_unit_journal_test_overflow_LDADD = $(TEST_LIBS)
tests_unit_journal_test_overflow_order_SOURCES = tests/unit/journal/test_overflow_order.c $(journal_rig)
tests_unit_journal_test_overflow_order_LDADD = $(TEST_LIBS)
tests_unit_journal_test_recovery_SOURCES = tests/unit/journal/test_recovery.c $(journal_rig)
tests_unit_journal_test_recovery_LDADD = $(TEST_LIBS)
tests_unit_journal_test_sequences_SOURCES = tests/unit/journal/test_sequences.c $(journal_rig)
tests_unit_journal_test_sequences_LDADD = $(TEST_LIBS)
tests_unit_journal_test_threads_SOURCES = tests/unit/journal/test_threads.c
tests_unit_journal_test_threads_LDADD = $(TEST_LIBS)
tests_unit_journal_test_totals_SOURCES = tests/unit/journal/test_totals.c $(journal_rig)
tests_unit_journal_test_totals_LDADD = $(TEST_LIBS)
tests_unit_journal_test_dead_letters_SOURCES = tests/unit/journal/test_dead_letters.c $(journal_rig)
tests_unit_journal_test_dead_letters_LDADD = $(TEST_LIBS)
tests_unit_journal_test_space_SOURCES = tests/unit/journal/test_space.c $(journal_rig)
tests_unit_journal_test_space_LDADD = $(TEST_LIBS)
tests_unit_journal_test_values_SOURCES = tests/unit/journal/test_values.c $(journal_rig)
tests_unit_journal_test_values_LDADD = $(TEST_LIBS)
