#include <stdio.h>

int sum(int of);

int main(void)
{
    return printf("sum %d\n", sum(100)) < 0;
}
