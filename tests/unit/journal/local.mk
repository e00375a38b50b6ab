# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += \
	tests/unit/journal/test_journal \
	tests/unit/journal/test_threads
journal_rig = tests/unit/journal/rig.c tests/unit/journal/rig.h tests/crash/sim_disk.c tests/crash/sim_disk.h
tests_unit_journal_test_journal_SOURCES = tests/unit/journal/test_journal.c $(journal_rig)
tests_unit_journal_test_journal_LDADD = $(TEST_LIBS)
tests_unit_journal_test_threads_SOURCES = tests/unit/journal/test_threads.c
tests_unit_journal_test_threads_LDADD = $(TEST_LIBS)
