//! YAML as the tools that Matraz replaces read, write and edit it.
