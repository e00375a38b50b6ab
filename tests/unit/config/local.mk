# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += tests/unit/config/broken tests/unit/config/good tests/unit/config/mappings tests/unit/config/warned tests/unit/config/real \
	tests/unit/config/yaml-test-suite

noinst_LIBRARIES += libconfigtesting.a
libconfigtesting_a_SOURCES = \
	tests/unit/config/connectors.c \
	tests/unit/config/connectors.h \
	tests/unit/config/files.c \
	tests/unit/config/files.h

check_PROGRAMS += tests/unit/config/test_broken
tests_unit_config_test_broken_SOURCES = tests/unit/config/test_broken.c
tests_unit_config_test_broken_LDADD = libconfigtesting.a $(TEST_LIBS)

check_PROGRAMS += tests/unit/config/test_difference
tests_unit_config_test_difference_SOURCES = tests/unit/config/test_difference.c
tests_unit_config_test_difference_LDADD = libconfigtesting.a $(TEST_LIBS)

check_PROGRAMS += tests/unit/config/test_good
tests_unit_config_test_good_SOURCES = tests/unit/config/test_good.c
tests_unit_config_test_good_LDADD = libconfigtesting.a $(TEST_LIBS)

check_PROGRAMS += tests/unit/config/test_listen
tests_unit_config_test_listen_SOURCES = tests/unit/config/test_listen.c
tests_unit_config_test_listen_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/config/test_schema
tests_unit_config_test_schema_SOURCES = tests/unit/config/test_schema.c
tests_unit_config_test_schema_LDADD = libconfigtesting.a $(TEST_LIBS)

check_PROGRAMS += tests/unit/config/test_mutations
tests_unit_config_test_mutations_SOURCES = tests/unit/config/test_mutations.c
tests_unit_config_test_mutations_LDADD = libconfigtesting.a $(TEST_LIBS)

check_PROGRAMS += tests/unit/config/test_value
tests_unit_config_test_value_SOURCES = tests/unit/config/test_value.c
tests_unit_config_test_value_LDADD = $(TEST_LIBS)

check_PROGRAMS += tests/unit/config/test_yaml_suite
tests_unit_config_test_yaml_suite_SOURCES = tests/unit/config/test_yaml_suite.c
tests_unit_config_test_yaml_suite_LDADD = libconfigtesting.a $(TEST_LIBS)
# Built by `make`: an integration test asks it.
noinst_PROGRAMS += tests/unit/config/print_schema
tests_unit_config_print_schema_SOURCES = tests/unit/config/print_schema.c
tests_unit_config_print_schema_LDADD = libconfigtesting.a $(LINKSPAN_LIBS)
