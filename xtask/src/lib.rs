//! Chores of the project that are code: today the test that keeps the layers true.
