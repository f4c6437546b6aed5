int number = 6;

void stop(void) {}

int main(void)
{
    number *= 7;
    stop();
    return 3;
}
