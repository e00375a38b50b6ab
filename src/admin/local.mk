# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	src/admin/admin.h \
	src/admin/answers.c \
	src/admin/answers.h \
	src/admin/exposition.c \
	src/admin/exposition.h \
	src/admin/http.c \
	src/admin/metric.c \
	src/admin/metric.h \
	src/admin/process.c \
	src/admin/process.h \
	src/admin/snapshot.h \
	src/admin/wear.c \
	src/admin/wear.h
