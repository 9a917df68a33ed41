module example.test/mxdrill-example

go 1.19
