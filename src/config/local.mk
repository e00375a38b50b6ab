# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	src/config/config.h \
	src/config/guarantee.c \
	src/config/guarantee.h \
	src/config/interpolate.c \
	src/config/interpolate.h \
	src/config/load.c \
	src/config/load_connection.c \
	src/config/load_guarantee.c \
	src/config/load_include.c \
	src/config/load_include.h \
	src/config/load_mapping.c \
	src/config/loader.h \
	src/config/memory.c \
	src/config/memory.h \
	src/config/report.c \
	src/config/report.h \
	src/config/schema.h \
	src/config/sections.c \
	src/config/sections.h \
	src/config/source.c \
	src/config/source.h \
	src/config/source_show.c \
	src/config/suggest.c \
	src/config/suggest.h \
	src/config/table.c \
	src/config/table.h \
	src/config/table_value.c \
	src/config/table_value.h \
	src/config/value.c \
	src/config/value.h \
	src/config/yaml_compose.c \
	src/config/yaml_tree.c \
	src/config/yaml_tree.h
