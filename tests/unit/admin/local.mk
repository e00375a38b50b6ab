# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/admin/test_answers
tests_unit_admin_test_answers_SOURCES = tests/unit/admin/test_answers.c
tests_unit_admin_test_answers_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/admin/test_exposition
tests_unit_admin_test_exposition_SOURCES = tests/unit/admin/test_exposition.c
tests_unit_admin_test_exposition_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/admin/test_metric
tests_unit_admin_test_metric_SOURCES = tests/unit/admin/test_metric.c
tests_unit_admin_test_metric_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/admin/test_wear
tests_unit_admin_test_wear_SOURCES = tests/unit/admin/test_wear.c
tests_unit_admin_test_wear_LDADD = $(TEST_LIBS)
