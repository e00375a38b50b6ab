# SPDX-License-Identifier: Apache-2.0
# The exhaustive search over QoS 2.
check_PROGRAMS += tests/model/qos2
tests_model_qos2_SOURCES = tests/model/model.h tests/model/model_in.c tests/model/model_out.c tests/model/qos2.c \
	tests/model/search.c tests/model/search.h
tests_model_qos2_LDADD = $(LINKSPAN_LIBS)
