# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/common/test_oauth
tests_unit_common_test_oauth_SOURCES = tests/unit/common/test_oauth.c tests/unit/kafka/complaints.c tests/unit/kafka/complaints.h
tests_unit_common_test_oauth_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/common/test_guard
tests_unit_common_test_guard_SOURCES = tests/unit/common/test_guard.c
tests_unit_common_test_guard_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/common/test_percent
tests_unit_common_test_percent_SOURCES = tests/unit/common/test_percent.c
tests_unit_common_test_percent_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/common/test_allowed_paths
tests_unit_common_test_allowed_paths_SOURCES = tests/unit/common/test_allowed_paths.c
tests_unit_common_test_allowed_paths_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/unit/common/test_pem_files
tests_unit_common_test_pem_files_SOURCES = tests/unit/common/test_pem_files.c tests/unit/kafka/complaints.c tests/unit/kafka/complaints.h tests/unit/mqtt/certificates.c tests/unit/mqtt/certificates.h
tests_unit_common_test_pem_files_LDADD = $(TEST_LIBS)
